use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::*;

const GOOD: &str = "0123456789abcdef";

fn load(text: &str, mode: u32) -> Result<TokenSet, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    TokenSet::load(&path).map_err(|error| {
        let source =
            std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        format!("{error}{source}").replace(&dir.path().display().to_string(), "DIR")
    })
}

#[track_caller]
fn check_refused(text: &str, mode: u32, expect: &str) {
    assert_eq!(load(text, mode).unwrap_err(), expect);
}

#[test]
fn every_token_of_the_file_is_accepted_and_nothing_else() {
    let set = load(&format!("# current\n{GOOD}\n\n  another-token-of-mine  \n"), 0o600).unwrap();
    assert!(set.accepts(GOOD));
    assert!(set.accepts("another-token-of-mine"));
    for other in ["", "# current", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF"] {
        assert!(!set.accepts(other), "{other}");
    }
}

#[test]
fn files_that_would_let_in_the_wrong_people_are_refused() {
    check_refused(
        GOOD,
        0o644,
        "the token file DIR/tokens is open to other users (mode 644): chmod 600 DIR/tokens",
    );
    check_refused(
        "",
        0o600,
        "the token file DIR/tokens holds no token: put one of 16 characters or more on a line",
    );
    check_refused(
        "# x\n",
        0o400,
        "the token file DIR/tokens holds no token: put one of 16 characters or more on a line",
    );
    check_refused(
        &format!("{GOOD}\nshort\n"),
        0o600,
        "line 2 of the token file DIR/tokens is no token: the token has fewer than 16 characters",
    );
    check_refused(
        "two words of a token",
        0o600,
        "line 1 of the token file DIR/tokens is no token: the token has characters other than printable ASCII without spaces",
    );
}

#[test]
fn only_the_owner_may_read_and_roots_group() {
    const USERS: u32 = 100;
    for (mode, group, expect) in [
        (0o600, USERS, false),
        (0o400, USERS, false),
        (0o640, USERS, true),
        (0o604, USERS, true),
        (0o620, USERS, true),
        (0o440, 0, false),
        (0o460, 0, true),
        (0o444, 0, true),
    ] {
        assert_eq!(is_exposed(mode, group), expect, "{mode:03o} {group}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = TokenSet::load(Path::new("/nowhere/tokens")).unwrap_err();
    assert_eq!(error.to_string(), "could not read the token file /nowhere/tokens");
}

#[test]
fn neither_token_nor_set_shows_a_secret() {
    let token = Token::new(GOOD).unwrap();
    let shown = format!("{token:?} {:?}", TokenSet::of(std::slice::from_ref(&token)));
    assert_eq!(shown, "Token(…) TokenSet { tokens: 1 }");
}

proptest! {
    #[test]
    fn a_set_accepts_exactly_its_members(
        members in proptest::collection::hash_set("[!-~]{16,40}", 1..5),
        stranger in "[!-~]{0,40}",
    ) {
        let tokens: Vec<_> = members.iter().map(|member| Token::new(member).unwrap()).collect();
        let set = TokenSet::of(&tokens);
        for member in &members {
            prop_assert!(set.accepts(member));
        }
        prop_assert_eq!(set.accepts(&stranger), members.contains(&stranger));
    }
}
