//! Called under the name of one of NSQ's programs, the binary is that program: the same flags in the same form, the
//! same defaults, the same exit codes.

mod address;
mod config;
mod daemon;
mod files;
mod flags;
mod links;
mod name;
mod tool;

pub(crate) use self::files::refuse_undelivered;
pub(crate) use self::links::LinksArgs;
pub(crate) use self::name::NsqName;
