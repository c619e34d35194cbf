use std::{fs, io::Write as _};

use flagmeter_model::{ManualClock, Name};

use super::*;
use crate::access::Role;

struct Bench {
    folder: tempfile::TempDir,
    clock: ManualClock,
}

impl Bench {
    fn new() -> Self {
        let clock = ManualClock::at(Timestamp::from_seconds_clamped(1_800_000_000));
        Self { folder: tempfile::tempdir().unwrap(), clock }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("tokens.jsonl")
    }

    fn open(&self) -> Tokens {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<Tokens> {
        Tokens::open(self.path(), Arc::new(self.clock.clone()))
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    fn append(&self, text: &str) {
        OpenOptions::new().append(true).open(self.path()).unwrap().write_all(text.as_bytes()).unwrap();
    }
}

fn operator() -> NewToken {
    NewToken { role: Role::Operator, note: None, expires_at: None }
}

#[test]
fn a_token_is_good_for_its_role_until_it_is_revoked() {
    let bench = Bench::new();
    let tokens = bench.open();
    let role = Role::Customer(Name::new("acme").unwrap());
    let made = tokens
        .create(NewToken { role: role.clone(), note: Some("for the chart".into()), expires_at: None }, "anna")
        .unwrap();
    assert_eq!(
        tokens.authenticate(&made.text),
        Ok(Principal { token_id: made.id.clone(), role: role.clone() })
    );
    tokens.revoke(&made.id, "bert").unwrap();
    assert_eq!(tokens.authenticate(&made.text), Err(Refusal::Revoked));
    assert!(matches!(tokens.revoke(&made.id, "bert"), Err(Error::TokenRevoked(_))));
    assert!(matches!(tokens.revoke("nobody", "bert"), Err(Error::TokenUnknown(_))));
    let listed = &tokens.list()[0];
    assert_eq!((listed.role.clone(), listed.note.as_deref()), (role, Some("for the chart")));
    assert_eq!((listed.created_by.as_str(), listed.revoked_by.as_deref()), ("anna", Some("bert")));
    assert_eq!(listed.revoked_at, Some(bench.clock.now()));
}

#[test]
fn the_log_is_only_added_to_and_never_holds_the_secret() {
    let bench = Bench::new();
    let tokens = bench.open();
    let made = tokens.create(operator(), "anna").unwrap();
    let before = bench.text();
    tokens.revoke(&made.id, "anna").unwrap();
    let after = bench.text();
    assert!(after.starts_with(&before) && after.lines().count() == 2);
    let secret = made.text.rsplit('_').next().unwrap();
    assert!(!after.contains(secret));
    let line: serde_json::Value = serde_json::from_str(after.lines().next().unwrap()).unwrap();
    assert_eq!(line["action"], "created");
    assert_eq!(line["role"], "operator");
    assert_eq!(line["at"], "2027-01-15T08:00:00Z");
    assert_eq!(line["hash"].as_str().unwrap().len(), 64);
}

#[test]
fn a_wrong_secret_is_unknown_whatever_the_id() {
    let bench = Bench::new();
    let tokens = bench.open();
    let made = tokens.create(operator(), "anna").unwrap();
    let (head, secret) = made.text.rsplit_once('_').unwrap();
    let changed: String = secret.chars().rev().collect();
    assert_eq!(tokens.authenticate(&format!("{head}_{changed}")), Err(Refusal::Unknown));
    assert_eq!(tokens.authenticate(&format!("fm_{}_{secret}", "0".repeat(12))), Err(Refusal::Unknown));
    assert_eq!(tokens.authenticate("secret"), Err(Refusal::Malformed));
}

#[test]
fn a_token_expires() {
    let bench = Bench::new();
    let tokens = bench.open();
    let expires_at = Some(bench.clock.now().plus_seconds(60));
    let made = tokens.create(NewToken { expires_at, ..operator() }, "anna").unwrap();
    bench.clock.advance(59);
    assert!(tokens.authenticate(&made.text).is_ok());
    bench.clock.advance(1);
    assert_eq!(tokens.authenticate(&made.text), Err(Refusal::Expired));
    assert_eq!(bench.open().authenticate(&made.text), Err(Refusal::Expired), "also after a restart");
}

#[test]
fn what_another_process_changes_is_seen_within_a_second() {
    let bench = Bench::new();
    let (server, command) = (bench.open(), bench.open());
    let made = command.create(operator(), "anna").unwrap();
    assert_eq!(
        server.authenticate(&made.text),
        Err(Refusal::Unknown),
        "the file is not read for each request"
    );
    bench.clock.advance(1);
    assert!(server.authenticate(&made.text).is_ok());
    command.revoke(&made.id, "anna").unwrap();
    bench.clock.advance(1);
    assert_eq!(server.authenticate(&made.text), Err(Refusal::Revoked));
    assert!(matches!(server.revoke(&made.id, "anna"), Err(Error::TokenRevoked(_))));
}

#[test]
fn a_line_cut_off_by_a_crash_is_left_out_and_removed_by_the_next_change() {
    let bench = Bench::new();
    let made = bench.open().create(operator(), "anna").unwrap();
    bench.append("{\"at\":\"2027-01-15T08:00:00Z\",\"by\":\"an");
    let tokens = bench.open();
    assert_eq!(tokens.torn_bytes(), 37);
    assert!(tokens.authenticate(&made.text).is_ok());
    let second = tokens.create(operator(), "anna").unwrap();
    assert_eq!(tokens.torn_bytes(), 0);
    let again = bench.open();
    assert!(again.authenticate(&made.text).is_ok() && again.authenticate(&second.text).is_ok());
    assert_eq!(bench.text().lines().count(), 2);
}

#[test]
fn a_damaged_line_in_the_middle_is_an_error_that_names_it() {
    let bench = Bench::new();
    let made = bench.open().create(operator(), "anna").unwrap();
    bench.append("garbage\n");
    let error = bench.try_open().unwrap_err().to_string();
    assert!(error.starts_with("line 2 of the tokens in") && error.contains("backup"), "{error}");
    let revokes_nobody =
        "{\"at\":\"2027-01-15T08:00:00Z\",\"by\":\"a\",\"id\":\"x\",\"action\":\"revoked\"}\n";
    fs::write(bench.path(), revokes_nobody).unwrap();
    assert!(matches!(bench.try_open(), Err(Error::TokensLine { line: 1, .. })));
    drop(made);
}

#[test]
fn a_file_that_breaks_while_the_server_runs_leaves_the_last_good_state() {
    let bench = Bench::new();
    let tokens = bench.open();
    let made = tokens.create(operator(), "anna").unwrap();
    bench.append("garbage\n");
    bench.clock.advance(5);
    assert!(tokens.authenticate(&made.text).is_ok());
    assert!(tokens.revoke(&made.id, "anna").is_err(), "what is damaged is not written to");
    fs::remove_file(bench.path()).unwrap();
    bench.clock.advance(5);
    assert!(tokens.authenticate(&made.text).is_ok());
}

#[cfg(unix)]
#[test]
fn the_file_is_kept_to_its_owner() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new();
    bench.open();
    let mode = || fs::metadata(bench.path()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    fs::set_permissions(bench.path(), fs::Permissions::from_mode(0o644)).unwrap();
    bench.open();
    assert_eq!(mode(), 0o600);
}

#[test]
fn words_that_do_not_fit_a_line_are_refused() {
    let bench = Bench::new();
    let tokens = bench.open();
    let long = NewToken { note: Some("x".repeat(NewToken::NOTE_CHARS_MAX + 1)), ..operator() };
    assert!(matches!(tokens.create(long, "anna"), Err(Error::TokenWords { what: "note", .. })));
    assert!(matches!(tokens.create(operator(), "an\nna"), Err(Error::TokenWords { what: "by", .. })));
}
