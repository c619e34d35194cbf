use proptest::prelude::*;

use super::*;

const GOOD: &str = r#"
[[customer]]
id = "acme"
name = "Acme Inc"
time_zone = "Europe/Berlin"

[[customer.project]]
id = "web"
flags = ["checkout-v2", "dark-mode"]

[[customer.project.environment]]
id = "production"
keys = ["ser.abc", "fm_env_1"]

[[customer.project.environment]]
id = "staging"

[[customer]]
id = "zeta"
[[customer.project]]
id = "web"
[[customer.project.environment]]
id = "production"
keys = ["ser.zeta"]
"#;

fn refused(text: &str) -> RegistryError {
    Registry::parse(text).expect_err("must be refused")
}

#[test]
fn a_key_finds_its_environment() {
    let registry = Registry::parse(GOOD).unwrap();
    assert_eq!(registry.environment_of("ser.abc").unwrap().to_string(), "acme/web/production");
    assert_eq!(registry.environment_of("ser.zeta").unwrap().to_string(), "zeta/web/production");
    assert!(registry.environment_of("ser.").is_none());
    assert_eq!(registry.environments().len(), 3);
    assert_eq!(registry.customers().len(), 2);
    let acme = registry.customer("acme").unwrap();
    assert_eq!((acme.time_zone.as_deref(), acme.line), (Some("Europe/Berlin"), 5));
    assert_eq!(acme.name.as_deref(), Some("Acme Inc"));
    assert_eq!(acme.projects[0].environments[0].keys[1].as_str(), "fm_env_1");
}

#[test]
fn a_project_is_found_with_its_customer_and_has_flags_only_where_they_are_listed() {
    let registry = Registry::parse(GOOD).unwrap();
    let name = |text| Name::new(text).unwrap();
    let (customer, listed) = registry.project(&name("acme"), &name("web")).unwrap();
    assert_eq!((customer.id.as_str(), listed.id.as_str()), ("acme", "web"));
    let flags = listed.flags.as_ref().unwrap();
    assert!(flags.contains_key("dark-mode") && !flags.contains_key("gone"));
    let (customer, unlisted) = registry.project(&name("zeta"), &name("web")).unwrap();
    assert_eq!((customer.id.as_str(), unlisted.flags.as_ref()), ("zeta", None));
    assert!(registry.project(&name("acme"), &name("gone")).is_none());
}

#[test]
fn what_is_printed_holds_no_key() {
    let shown = format!("{:?}", Registry::parse(GOOD).unwrap());
    assert!(!shown.contains("ser.abc") && !shown.contains("fm_env_1"), "{shown}");
}

#[test]
fn every_mistake_names_its_line() {
    let customer = "[[customer]]\nid = \"a\"\n";
    let project = format!("{customer}[[customer.project]]\nid = \"p\"\n");
    let environment = format!("{project}[[customer.project.environment]]\nid = \"e\"\n");
    let cases: Vec<(String, usize, &str)> = vec![
        (String::new(), 1, "no customer"),
        (format!("{customer}id2 = 1\n"), 3, "unknown field"),
        (format!("{customer}= broken\n"), 3, ""),
        (format!("{customer}name = 3\n"), 3, "string"),
        (format!("{customer}\n{customer}"), 5, "stands on line 2"),
        (format!("{project}[[customer.project]]\nid = \"p\"\n"), 6, "stands on line 4"),
        (format!("{environment}[[customer.project.environment]]\nid = \"e\"\n"), 8, "stands on line 6"),
        (format!("{environment}keys = [\n \"k1\",\n \"k1\",\n]\n"), 9, "belongs to a/p/e already (line 8)"),
        (format!("{environment}keys = [\"with space\"]\n"), 7, "header"),
        (format!("{environment}keys = [\"\"]\n"), 7, "1 to 256 bytes"),
        ("[[customer]]\nid = \"\"\n".into(), 2, "empty"),
        ("[[customer]]\n\nid = \"__other__\"\n".into(), 3, "folded"),
        ("[[customer]]\nid = \"a\\u0007\"\n".into(), 2, "control"),
        (format!("{project}flags = [\n\"ok\",\n\"{}\"]\n", "x".repeat(300)), 7, "longer"),
        ("[[customer]]\nname = \"no id\"\n".into(), 1, "missing field `id`"),
    ];
    for (text, line, says) in cases {
        let error = refused(&text);
        assert_eq!(error.line, line, "{error} in\n{text}");
        assert!(error.sentence.contains(says), "{error} does not say {says:?}");
        assert!(!error.sentence.contains('\n'), "{error} is more than a sentence");
    }
}

#[test]
fn a_key_of_two_customers_is_refused() {
    let error = refused(&GOOD.replace("ser.zeta", "ser.abc"));
    assert_eq!(error.line, 24);
    assert!(error.sentence.contains("acme/web/production already (line 13)"), "{error}");
    assert!(!error.sentence.contains("ser.abc"), "a sentence that ends up in logs must not hold a key");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_and_lines_lie_within(text in "(\\PC|\n){0,200}") {
        if let Err(error) = Registry::parse(&text) {
            prop_assert!(error.line >= 1 && error.line <= text.split('\n').count().max(1));
        }
    }

    #[test]
    fn a_damaged_registry_names_a_line_or_is_still_whole(at in 0..GOOD.len(), with in "\\PC") {
        let mut text = GOOD.to_owned();
        text.replace_range(at..=at, &with);
        match Registry::parse(&text) {
            Ok(registry) => prop_assert!(!registry.customers().is_empty()),
            Err(error) => prop_assert!(error.line >= 1 && error.line <= text.lines().count() + 1),
        }
    }
}
