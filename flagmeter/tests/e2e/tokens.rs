//! Tokens beside a running server.

use crate::server::{DataFolder, Server, eventually};

#[test]
fn a_token_is_good_as_soon_as_it_is_made_and_refused_after_it_was_revoked() {
    let folder = DataFolder::new();
    let server = Server::start(&folder);
    let made = folder.run(&["token", "create", "customer", "--customer", "acme", "--note", "for a test"]);
    assert!(made.success, "{made:?}");
    let token = made.stdout.trim();
    let status = |path: &str| server.ask(path, token).map(|answer| answer.status);
    eventually("the token is taken", || status("/v1/usage?from=-1h&to=now"), |&status| status == Some(200));
    assert_eq!(status("/v1/usage?from=-1h&to=now&customer=globex"), Some(403));
    assert_eq!(status("/v1/audit"), Some(403), "only operators audit");

    let id = token.split('_').nth(1).expect("an id");
    let listed = folder.run(&["token", "list"]);
    assert!(listed.stdout.contains(id) && listed.stdout.contains("for a test"), "{}", listed.stdout);
    assert!(!listed.stdout.contains(token.rsplit('_').next().unwrap()), "secrets are not listed");

    assert!(folder.run(&["token", "revoke", id]).success);
    eventually("the token is refused", || status("/v1/usage?from=-1h&to=now"), |&status| status == Some(401));
    let twice = folder.run(&["token", "revoke", id]);
    assert_eq!(twice.status, Some(1), "{twice:?}");
}
