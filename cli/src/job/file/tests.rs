use punctual_proto::v1::job::Task;

use super::*;

#[track_caller]
fn names(file: &str, text: &str, expect: &[&str]) {
    let file = JobFile::parse(file, text, "").unwrap();
    assert_eq!(file.jobs.iter().map(|job| job.name.as_str()).collect::<Vec<_>>(), expect);
}

#[track_caller]
fn refused(file: &str, text: &str, expect: &str) {
    assert_eq!(JobFile::parse(file, text, "").unwrap_err().to_string(), expect);
}

#[test]
fn jobs_are_found_in_every_shape_of_file() {
    names("a.yaml", "jobs:\n  - { name: a }\n  - { name: b }\n", &["a", "b"]);
    names("a.yaml", "jobs: { name: a }", &["a"]);
    names("a.yaml", "- name: a\n- name: b\n", &["a", "b"]);
    names("a.yaml", "name: a\nkind: k\n", &["a"]);
    names("a.yaml", "name: a\n---\n# nothing\n---\njobs: [{ name: b }]\n", &["a", "b"]);
    names("a.yaml", "# only a comment\n", &[]);
    names("a.json", "{\n\t\"jobs\": [{ \"name\": \"a\" }]\n}", &["a"]);
    names("standard input", "{ \"jobs\": [{ \"name\": \"a\" }] }", &["a"]);
}

#[test]
fn anchors_and_merges_save_writing() {
    let text = "\
jobs:
  - &base { name: a, exec: { argv: [/bin/true] }, labels: { team: ops } }
  - { <<: *base, name: b }
";
    let jobs = JobFile::parse("a.yaml", text, "night").unwrap().jobs;
    assert_eq!(jobs[1].name, "b");
    assert_eq!(jobs[1].labels["team"], "ops");
    assert_eq!(jobs[1].namespace, "night");
    assert!(matches!(&jobs[1].task, Some(Task::Exec(exec)) if exec.argv == ["/bin/true"]));
}

#[test]
fn errors_say_where() {
    refused(
        "a.yaml",
        "jobs:\n  - name: a\n   kind: k\n",
        "a.yaml: did not find expected '-' indicator at line 3 column 4, while parsing a block collection at line 2 column 3",
    );
    refused("a.json", "{ \"name\": }", "a.json: expected value at line 1 column 11");
    refused("a.yaml", "name: a\nname: b\n", "a.yaml: duplicate entry with key \"name\"");
    refused("a.yaml", "5", "a.yaml: expected jobs, found 5; write `jobs:` and a list of them");
    refused("a.yaml", "jobs: []\nversion: 1\n", "a.yaml: `version` does not belong beside `jobs`");
    refused("a.yaml", "jobs: [5]", "a.yaml: jobs[0]: expected an object, found the number 5");
}

#[test]
fn every_wrong_job_of_a_file_is_named() {
    refused(
        "a.yaml",
        "jobs:\n- { name: a, shedule: { every: 1s } }\n- { name: b }\n- { schedule: { crom: x } }\n",
        "a.yaml: job a: jobs[0].shedule: unknown field; did you mean `schedule`?\n\
         error: a.yaml: jobs[2].schedule.crom: unknown field; did you mean `cron`?",
    );
}

#[test]
fn a_folder_gives_its_job_files_by_name_and_a_job_belongs_to_one() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let read = || JobFile::read_all(&[Source::Path(folder.path().into())], "");

    let error = read().unwrap_err().to_string();
    assert_eq!(error, format!("no .yaml, .yml or .json file in {}", folder.path().display()));

    write("b.yml", "name: b");
    write("a.json", "{\"name\": \"a\"}");
    write(".hidden.yaml", "name: hidden");
    write("README.md", "# not a job");
    let files = read().unwrap();
    assert_eq!(files.iter().map(|file| file.jobs[0].name.as_str()).collect::<Vec<_>>(), ["a", "b"]);

    write("c.yaml", "name: a");
    let error = read().unwrap_err().to_string().replace(&folder.path().display().to_string(), "F");
    assert_eq!(error, "job a is defined twice, in F/a.json and in F/c.yaml");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = JobFile::read_all(&[Source::from("/nowhere/jobs.yaml")], "").unwrap_err();
    assert_eq!(error.to_string(), "cannot read /nowhere/jobs.yaml: No such file or directory (os error 2)");
}
