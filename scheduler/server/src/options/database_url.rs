//! The database's address, which holds a secret.

use std::fmt;
use std::str::FromStr;

use crate::store::Address;

/// A `postgres://` URL. Neither its `Debug` nor its `Display` shows the password.
#[derive(Clone)]
pub struct DatabaseUrl(String);

/// Why a text is no such URL. Does not repeat the text, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
pub struct DatabaseUrlError;

impl DatabaseUrl {
    /// The URL with its password, to connect with.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
        if !known || Address::of(text).is_err() {
            return Err(DatabaseUrlError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("postgres", &self.0));
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        // A password may hold an `@` that somebody forgot to escape: the last one counts.
        let (user, place) = match address.rsplit_once('@') {
            Some((login, place)) => (login.split(':').next(), place),
            None => (None, address),
        };
        write!(f, "{scheme}://")?;
        if let Some(user) = user {
            write!(f, "{user}@")?;
        }
        f.write_str(place)?;
        // A socket's directory stands in the query; a password may.
        let host = query.split('&').find(|parameter| parameter.starts_with("host="));
        host.map_or(Ok(()), |host| write!(f, "?{host}"))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, shown: &str) {
        let parsed: DatabaseUrl = url.parse().unwrap();
        assert_eq!(parsed.to_string(), shown);
        assert_eq!(format!("{parsed:?}"), shown);
        assert_eq!(parsed.reveal(), url);
    }

    #[test]
    fn where_the_database_is_can_be_shown_but_not_its_password() {
        check("postgres://punctual:s3cret@db.example:5433/p", "postgres://punctual@db.example:5433/p");
        check("postgresql://punctual:s3%40cret@db/p?sslmode=require", "postgresql://punctual@db/p");
        check("postgres://db/p?password=s3cret&user=x", "postgres://db/p");
        check("postgres:///p?host=/run/pg&password=s3cret", "postgres:///p?host=/run/pg");
        check("postgres://punctual@db/p", "postgres://punctual@db/p");
    }

    #[test]
    fn what_is_no_such_url_is_refused_without_repeating_it() {
        for url in ["", "mysql://u:s3cret@db/p", "u:s3cret@db/p", "postgres://u:s3cret@db:port/p"] {
            let error = url.parse::<DatabaseUrl>().unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
