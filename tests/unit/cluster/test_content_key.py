import pytest

from cluster import content_key, images


@pytest.fixture
def context(tmp_path):
    folder = tmp_path / "context"
    (folder / "app" / "__pycache__").mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / "app" / "main.py").write_text("print(1)\n")
    (folder / "app" / "__pycache__" / "main.pyc").write_bytes(b"1")
    return folder


def key(context, **arguments):
    return content_key.of(context / "Dockerfile", context, arguments)


def found(context, ignore):
    return [str(path.relative_to(context)) for path in content_key.files(context, content_key.parse(ignore))]


def test_the_same_content_has_the_same_key(context):
    assert key(context) == key(context)


def test_a_changed_file_changes_the_key(context):
    before = key(context)
    (context / "app" / "main.py").write_text("print(2)\n")
    assert key(context) != before


def test_a_file_that_became_executable_changes_the_key(context):
    before = key(context)
    (context / "app" / "main.py").chmod(0o755)
    assert key(context) != before


def test_a_renamed_file_changes_the_key(context):
    before = key(context)
    (context / "app" / "main.py").rename(context / "app" / "app.py")
    assert key(context) != before


def test_a_link_counts_by_its_target_not_by_what_it_points_to(context):
    (context / "link").symlink_to("app/main.py")
    before = key(context)
    (context / "link").unlink()
    (context / "link").symlink_to("app/other.py")
    assert key(context) != before


def test_a_build_argument_changes_the_key(context):
    assert key(context, BASE="a") != key(context, BASE="b")


def test_an_ignored_file_does_not_change_the_key(context):
    (context / ".dockerignore").write_text("**/__pycache__\n")
    before = key(context)
    (context / "app" / "__pycache__" / "main.pyc").write_bytes(b"2")
    assert key(context) == before


def test_the_ignore_file_beside_a_dockerfile_wins_over_the_contexts(context):
    (context / ".dockerignore").write_text("app\n")
    (context / "Dockerfile.dockerignore").write_text("nothing\n")
    assert content_key.ignore_file(context / "Dockerfile", context) == context / "Dockerfile.dockerignore"


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("app", ["Dockerfile"]),
        ("/app/", ["Dockerfile"]),
        ("app/*.py", ["Dockerfile", "app/__pycache__/main.pyc"]),
        ("*.py", ["Dockerfile", "app/main.py", "app/__pycache__/main.pyc"]),
        ("**/*.py", ["Dockerfile", "app/__pycache__/main.pyc"]),
        ("**/__pycache__", ["Dockerfile", "app/main.py"]),
        ("a?p/main.py", ["Dockerfile", "app/__pycache__/main.pyc"]),
        ("# app\n\n", ["Dockerfile", "app/main.py", "app/__pycache__/main.pyc"]),
        ("**\n!app/main.py", ["app/main.py"]),
        ("app\n!app/*.py\napp/main.py", ["Dockerfile"]),
    ],
)
def test_patterns_mean_what_docker_means(context, pattern, left):
    assert found(context, pattern) == left


@pytest.mark.parametrize(
    ("given", "complete"),
    [
        ("green", "docker.io/library/green:latest"),
        ("agenttype/sidecar:dev", "docker.io/agenttype/sidecar:dev"),
        ("localhost/green:1", "localhost/green:1"),
        ("registry:5000/green", "registry:5000/green:latest"),
        ("example.org/a/b:c", "example.org/a/b:c"),
    ],
)
def test_an_image_has_the_name_that_the_kubelet_will_look_for(given, complete):
    assert images.full_name(given) == complete


def test_only_declared_build_arguments_are_passed():
    assert images.declared("ARG BASE=python:3.11-slim\nFROM ${BASE}\n  arg UV_SYSTEM_CERTS\nRUN echo ARG X") == {
        "BASE",
        "UV_SYSTEM_CERTS",
    }
