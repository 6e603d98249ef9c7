use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use punctual_queue_tools::go_flags::FlagError;
use punctual_queue_tools::nsq_stat::NsqStat;
use punctual_queue_tools::nsq_tail::NsqTail;
use punctual_queue_tools::nsq_to_file::NsqToFile;
use punctual_queue_tools::nsq_to_http::NsqToHttp;
use punctual_queue_tools::nsq_to_nsq::NsqToNsq;
use punctual_queue_tools::to_nsq::ToNsq;
use punctual_queue_wire::identify::NSQ_VERSION;

use super::{daemon, tool};
use crate::failure::Failure;

/// One of NSQ's programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NsqName {
    Nsqd,
    Nsqlookupd,
    Nsqadmin,
    NsqStat,
    NsqTail,
    NsqToFile,
    NsqToHttp,
    NsqToNsq,
    ToNsq,
}

impl NsqName {
    /// All of them.
    pub(crate) const ALL: [Self; 9] = [
        Self::Nsqd,
        Self::Nsqlookupd,
        Self::Nsqadmin,
        Self::NsqStat,
        Self::NsqTail,
        Self::NsqToFile,
        Self::NsqToHttp,
        Self::NsqToNsq,
        Self::ToNsq,
    ];

    /// The program that a command's first word, a path or not, names.
    pub(crate) fn of(program: &OsStr) -> Option<Self> {
        let file_name = Path::new(program).file_name()?;
        Self::ALL.into_iter().find(|name| file_name == name.as_str())
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Nsqd => "nsqd",
            Self::Nsqlookupd => "nsqlookupd",
            Self::Nsqadmin => "nsqadmin",
            Self::NsqStat => "nsq_stat",
            Self::NsqTail => "nsq_tail",
            Self::NsqToFile => "nsq_to_file",
            Self::NsqToHttp => "nsq_to_http",
            Self::NsqToNsq => "nsq_to_nsq",
            Self::ToNsq => "to_nsq",
        }
    }

    /// Is the program, with the words that follow its name.
    pub(crate) async fn run(self, words: Vec<OsString>) -> ExitCode {
        let done = match self {
            Self::Nsqd => daemon::nsqd(words).await,
            Self::Nsqlookupd => daemon::nsqlookupd(words).await,
            Self::Nsqadmin => tool::nsqadmin(words),
            Self::NsqStat => {
                tool::run(self, words, |tool: NsqStat, stop| async move {
                    tool.run(&mut io::stdout(), stop).await
                })
                .await
            }
            Self::NsqTail => {
                tool::run(self, words, |tool: NsqTail, stop| async move {
                    tool.run(&mut io::stdout(), stop).await
                })
                .await
            }
            Self::NsqToFile => tool::run(self, words, |tool: NsqToFile, stop| tool.run(stop)).await,
            Self::NsqToHttp => tool::run(self, words, |tool: NsqToHttp, stop| tool.run(stop)).await,
            Self::NsqToNsq => tool::run(self, words, |tool: NsqToNsq, stop| tool.run(stop)).await,
            Self::ToNsq => tool::run(self, words, |tool: ToNsq, stop| tool.run(io::stdin(), stop)).await,
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.report(),
        }
    }

    /// Prints the version as NSQ does.
    pub(crate) fn print_version(self) -> Result<(), Failure> {
        writeln!(io::stdout(), "{self} v{NSQ_VERSION} (built w/punctual {})", env!("CARGO_PKG_VERSION"))?;
        Ok(())
    }

    /// What is wrong with the command line, and where to find what is right.
    pub(crate) fn wrong(self, error: &FlagError) -> Failure {
        Failure::Flags(format!("{error}\nUsage of {self}: {self} -help lists its flags"))
    }
}

impl fmt::Display for NsqName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_the_last_part_of_its_path() {
        assert_eq!(NsqName::of("nsqd".as_ref()), Some(NsqName::Nsqd));
        assert_eq!(NsqName::of("/usr/local/bin/to_nsq".as_ref()), Some(NsqName::ToNsq));
        assert_eq!(NsqName::of("./punctual".as_ref()), None);
        assert_eq!(NsqName::of("nsqd-1".as_ref()), None);
        assert_eq!(NsqName::of("".as_ref()), None);
    }
}
