//! Kafka and InfluxDB of a scenario's own, which it may harm.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use crate::cluster::servers::Servers;

/// An instance of the script `services`. It goes, with its data, when it is dropped.
pub(super) struct OwnServers {
    name: String,
}

/// Which of the two.
pub(super) const KAFKA: &str = "kafka";
pub(super) const INFLUXDB: &str = "influxdb";

impl OwnServers {
    /// Brings both up.
    pub(super) fn up() -> (Self, Servers) {
        let own = Self { name: format!("faults-{:08x}", rand::random::<u32>()) };
        own.services(&["up"]);
        let variables = String::from_utf8(own.services(&["env"]).stdout).expect("text");
        let told = |name: &str| {
            let line = variables.lines().find_map(|line| line.strip_prefix("export ")?.strip_prefix(name));
            let value = line.and_then(|rest| rest.strip_prefix('=')).expect("a variable of the servers");
            value.trim_matches('\'').to_owned()
        };
        let servers = Servers {
            kafka: told("FLAGMETER_TEST_KAFKA"),
            influx_url: told("FLAGMETER_TEST_INFLUX_URL"),
            influx_org: told("FLAGMETER_TEST_INFLUX_ORG"),
            influx_token: told("FLAGMETER_TEST_INFLUX_TOKEN"),
        };
        (own, servers)
    }

    /// What the script can do to a server: kill, start, pause, resume.
    pub(super) fn act(&self, action: &str, server: &str) {
        self.services(&[action, server]);
    }

    fn services(&self, args: &[&str]) -> Output {
        let output = self.command(args).output().expect("the script runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "services {args:?}: {said}");
        output
    }

    fn command(&self, args: &[&str]) -> Command {
        let script = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../services"));
        let mut command = Command::new(script);
        command.args(["-n", &self.name]).args(args);
        command
    }
}

impl Drop for OwnServers {
    fn drop(&mut self) {
        let down = self.command(&["down"]).status();
        if !down.is_ok_and(|status| status.success()) {
            println!("the servers {} are left behind: ./services -n {} down", self.name, self.name);
        }
    }
}
