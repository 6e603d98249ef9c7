//! NSQ's public clients on our binary by the names of NSQ's daemons. See `tests/clients/README.md`.

use std::fs;

use anyhow::ensure;
use punctual_tests::client_suite::{Python, Suite, clients, count_before, node_packages};
use rcgen::generate_simple_self_signed;

/// What nsqjs 0.13.0 has; one that skipped some would pass too.
const CASES_OF_NSQJS: usize = 171;

#[test]
#[ignore = "needs root, npm and the npm registry; `cargo xtask test --full` runs it"]
fn the_suite_of_nsqjs_passes_as_it_is() -> anyhow::Result<()> {
    let packages = node_packages("nsqjs")?.join("node_modules");
    let mocha = packages.join("mocha/bin/mocha");
    // Its tests name files of the package from the package's root.
    let suite =
        Suite::new("nsqjs", "node", packages.join("nsqjs")).args([mocha.as_os_str()]).args(["-R", "spec"]);
    let passing = count_before(&suite.run()?, "passing");
    ensure!(passing == CASES_OF_NSQJS, "{passing} of {CASES_OF_NSQJS} cases passed");
    Ok(())
}

#[test]
#[ignore = "needs root, npm and the npm registry; `cargo xtask test --full` runs it"]
fn what_nsqjs_asks_for_is_in_force() -> anyhow::Result<()> {
    let dir = node_packages("nsqjs")?;
    let cases = dir.join("negotiated.js"); // beside the packages, where they are found
    fs::copy(clients().join("nsqjs/negotiated.js"), &cases)?;
    let mocha = dir.join("node_modules/mocha/bin/mocha");
    let suite = Suite::new("nsqjs-negotiated", "node", &dir).args([mocha, "-R".into(), "spec".into(), cases]);
    let passing = count_before(&suite.run()?, "passing");
    ensure!(passing == 6, "{passing} of 6 cases passed");
    Ok(())
}

#[test]
#[ignore = "needs root, Python 3.8 to 3.11 and PyPI; `cargo xtask test --full` runs it"]
fn pynsq_works_in_every_layer_it_can_ask_for() -> anyhow::Result<()> {
    let python = Python::with_packages("pynsq")?;
    let dir = tempfile::tempdir()?;
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let signed = generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    fs::write(&cert, signed.cert.pem())?;
    fs::write(&key, signed.signing_key.serialize_pem())?;
    let suite = Suite::new("pynsq", &python.program, clients().join("pynsq"))
        .args(["-B", "-m", "pytest", "-p", "no:cacheprovider", "--tb=short", "--basetemp"])
        .args([dir.path().join("data")])
        .env("TEST_TLS_CERT", &cert)
        .env("TEST_TLS_KEY", &key);
    let printed = suite.run()?;
    let (passed, skipped) = (count_before(&printed, "passed"), count_before(&printed, "skipped"));
    ensure!(passed >= 40 && skipped == 0, "{passed} cases passed, {skipped} were skipped");
    Ok(())
}
