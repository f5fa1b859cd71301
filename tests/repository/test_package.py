"""The package as a whole: its public names, who may import whom, and the commands of the Makefile."""

from __future__ import annotations

import ast
import configparser
import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import invertnas
from experiments.tables.definitions import TABLES
from invertnas import errors
from tests.helpers.scripts import SCRIPTS, flag_names, script_path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "invertnas"
MODULES = sorted(PACKAGE.rglob("*.py"))
NAMES = {  # some of each kind; `invertnas/__init__.pyi` is the list
    *("NASBench101", "NASBench201Analysis", "NASBench301", "NASBenchNLP", "NASBench101Space", "NASBenchNLPSpace"),
    *("build_search", "build_predictor", "load_gvae", "save_gvae", "open_initial", "open_benchmark", "open_space"),
    *("RandomSearch", "LocalSearch", "RegularizedEvolution", "BayesianOptimization", "Bananas", "BananasConfig"),
    *("GVAETrainer", "INNTrainer", "AlignFlow", "AlignFlowTrainer", "NWOT", "EpsinasNLP", "InvertNAS", "preset"),
    *(name for name, value in vars(errors).items() if isinstance(value, type)),
}
# First part of a module below `invertnas` -> what it may import below `invertnas`, itself and EVERYWHERE aside.
EVERYWHERE = {"errors", "checks"}
ALLOWED = {
    "errors": set(),
    "checks": set(),
    "seeding": set(),
    "startup": set(),
    "files": set(),
    "spaces": set(),
    "benchmarks": {"spaces", "files"},
    "training": {"files"},
    "gaussian_process": set(),
    "protocols": {"spaces"},
    "gvae": {"training", "stacked", "spaces", "files", "seeding"},
    "stacked": {"seeding"},
    "inn": {"stacked", "seeding"},
    "alignflow": {"training", "gvae", "inn", "stacked", "spaces", "files", "seeding"},
    "proxies": {"spaces", "files", "seeding"},
    "reporting": {"running", "spaces", "checks", "errors", "files"},
    "commands": {"startup", "build", "reporting", "running", "benchmarks", "presets", "search", "protocols", "spaces"}
    | {"checks", "errors", "files"},
    "running": {"protocols", "spaces", "errors"},
    "networks": {"proxies.networks", "spaces", "seeding"},
    "initial": {"alignflow", "gvae", "proxies", "spaces", "files", "seeding"},
    "search": {"protocols", "stacked", "gaussian_process", "initial.base", "spaces", "files", "seeding"},
    "predictor": {"protocols", "gaussian_process", "gvae", "inn", "spaces", "files", "seeding"},
    "presets": {"inn.config", "predictor.config", "search.config", "spaces.records"},
    "free_scores": {"predictor.attributes", "proxies.cache", "spaces"},
    "build": {"free_scores", "initial", "presets", "protocols", "gvae", "predictor", "search", "spaces"},
}
SHORT = ("nb101", "nb201", "nb301", "nbnlp")
VALUES = {
    "TRIALS": ("trials", "2"),
    "DATASETS": ("dataset", "cifar10,cifar100"),
    "METHODS": ("methods", "random,invertnas"),
    "PRESET": ("preset", "paper"),
    "BENCHMARKS": ("benchmark", "nasbench201"),
    "INIT": ("init", "proxy"),
    "QUERIES": ("queries", "50"),
    "SEED": ("seed", "7"),
    "OUT": ("out", "some folder"),
    "JOBS": ("jobs", "2"),
    "MEMBERS": ("members", "3"),
}


def start(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the repository, with no variables of an outer make."""
    outer = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "PYTHON", "VENV", "CSV", "PTH", *VALUES}
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def run(*command: str) -> str:
    """Standard output of a command that succeeds."""
    done = start(*command)
    assert done.returncode == 0, done.stderr
    return done.stdout


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path, types: bool = True) -> Iterator[str]:
    """Every module that a file imports anywhere in it, as full names; `types`: for type checkers alone too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    unused = set() if types else {inner for block in blocks for node in block.body for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if node in unused:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path} has a relative import"
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            found = [name for name in submodules if is_module(name)]
            yield from found
            if len(found) < len(submodules):
                yield node.module


def is_module(name: str) -> bool:
    path = ROOT / Path(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def within(name: str, allowed: set[str]) -> bool:
    """Whether a full name is one of, or below one of, the names in `invertnas`."""
    return any(f"{name}.".startswith(f"invertnas.{prefix}.") for prefix in allowed)


def makefile_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z]\w*):(?!=)", text, re.MULTILINE))


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def test_import_is_light() -> None:
    code = """
import sys, invertnas
heavy = {"tensorflow", "keras", "spektral", "numpy", "pandas", "matplotlib"}
print(sorted(heavy & set(sys.modules)), "GVAE" in dir(invertnas), "GVAE" in vars(invertnas))
invertnas.SearchConfig, invertnas.NASBench201
print(sorted((heavy - {"numpy"}) & set(sys.modules)), "SearchConfig" in vars(invertnas))
"""
    assert run(sys.executable, "-c", code).splitlines() == ["[] True False", "[] True"]


def test_public_names_resolve() -> None:
    assert NAMES <= set(invertnas.__all__) and len(set(invertnas.__all__)) == len(invertnas.__all__)
    assert set(invertnas.__all__) <= set(dir(invertnas))
    for name in invertnas.__all__:
        value = getattr(invertnas, name)
        assert value.__name__ == name and value.__module__.startswith("invertnas.")
        assert value is getattr(importlib.import_module(value.__module__), name)
    with pytest.raises(AttributeError, match="No invertnas attribute Nonsense"):
        getattr(invertnas, "Nonsense")


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    lines = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    declared = {alias.name: node.module for node in lines for alias in node.names}
    assert set(declared) == set(invertnas.__all__) and [node.level for node in lines] == [1] * len(lines)
    for name, module in declared.items():
        assert getattr(importlib.import_module(f"invertnas.{module}"), name) is getattr(invertnas, name)


def test_version_has_one_source() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    assert setup["metadata"]["name"] == "invertnas"
    assert setup["metadata"]["version"] == "attr: invertnas.__version__"
    assert re.fullmatch(r"\d+\.\d+\.\d+", invertnas.__version__)
    sources = [path for path in MODULES if re.search(r"^__version__\b", path.read_text(encoding="utf-8"), re.M)]
    assert sources == [PACKAGE / "__init__.py"]


def test_the_package_holds_its_types_and_data() -> None:
    """What setuptools would put into a wheel, without building one."""
    code = """
from setuptools import Distribution
made = Distribution()
made.parse_config_files()
command = made.get_command_obj("build_py")
command.ensure_finalized()
for package, _, _, files in command.data_files:
    print(*(f"{package}/{name}" for name in files), sep="\\n")
print(*command.packages, sep="\\n")
"""
    listed = set(run(sys.executable, "-W", "ignore", "-c", code).splitlines())
    assert {"invertnas/py.typed", "invertnas/__init__.pyi", "invertnas.benchmarks/data/SOURCES.md"} <= listed
    weights = {path.name for path in (ROOT / "pretrained").iterdir()}
    assert {f"invertnas/pretrained/{name}" for name in weights} <= listed and len(weights) >= 16
    assert {module_name(path.parent / "__init__.py") for path in MODULES} <= listed
    assert not any(name.startswith(("experiments", "tests")) for name in listed)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_go_one_way(path: Path) -> None:
    name = module_name(path)
    ours = {target for target in imports(path) if target.split(".")[0] in ("invertnas", "experiments", "tests")}
    if name == "invertnas":
        assert not ours
        return
    part = name.split(".")[1]
    assert part in ALLOWED, f"{name} has no rule about what it may import"
    wrong = {target for target in ours if not within(target, ALLOWED[part] | EVERYWHERE | {part})}
    assert not wrong, f"{name} may not import {sorted(wrong)}"


def test_no_module_imports_itself_around_a_corner() -> None:
    """Imports inside functions count too, those for types alone do not."""
    graph = {
        module_name(path): {target for target in imports(path, types=False) if target.startswith("invertnas.")}
        for path in MODULES
    }
    left = {name: set(targets) - {name} for name, targets in graph.items() if name != "invertnas"}
    while free := [name for name, targets in left.items() if not targets & set(left)]:
        for name in free:
            del left[name]
    assert not left, f"these import one another: {sorted(left)}"


def requirements(section: str, option: str) -> set[str]:
    """Import names of what setup.cfg requires."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = [line for line in setup[section][option].splitlines() if line and not line.startswith("#")]
    named = {re.split(r"[=<>\[]", line)[0].replace("-", "_") for line in lines}
    return {{"absl_py": "absl", "pillow": "PIL"}.get(name, name) for name in named}


def test_what_the_package_imports_is_what_it_requires() -> None:
    imported = {name.split(".")[0] for path in MODULES for name in imports(path)} - {"invertnas"}
    assert imported - set(sys.stdlib_module_names) == requirements("options", "install_requires")
    scripts = {name.split(".")[0] for path in SCRIPTS.rglob("*.py") for name in imports(path)}
    scripts -= {*sys.stdlib_module_names, "experiments", "invertnas", "tests"}
    extras = requirements("options.extras_require", "experiments")
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    more = {name for extra in setup["options.extras_require"] for name in requirements("options.extras_require", extra)}
    extras -= {"tabulate"}  # pandas imports it, for `to_markdown`
    assert extras <= scripts <= extras | more | requirements("options", "install_requires")


def test_import_rules_can_fail(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        "def f():\n    from invertnas import inn\n    from invertnas.files.io import read_json\n    import os.path\n"
    )
    assert list(imports(path)) == ["invertnas.inn", "invertnas.files.io", "os.path"]
    assert not within("invertnas.inn", ALLOWED["search"]) and not within("invertnas.files.io", ALLOWED["inn"])
    assert not within("experiments.common.cli", ALLOWED["search"]) and not within("invertnas.iota", ALLOWED["search"])
    assert within("invertnas.protocols", ALLOWED["predictor"])
    assert not within("invertnas.search.config", ALLOWED["predictor"])


def test_flags_are_defined_in_scripts_only() -> None:
    for path in MODULES:
        if path.parent == PACKAGE / "commands":  # a script, that of the installed package
            continue
        assert not flag_names(path), f"{path} defines flags"
        assert not {name for name in imports(path) if name.split(".")[0] in ("absl", "argparse")}, path
    assert "trials" in flag_names(SCRIPTS / "tables" / "__main__.py")


@needs_make
def test_help_lists_every_target() -> None:
    targets = makefile_targets()
    assert {"install", "table2", "pretrain_nb201", "data_nb201", "test_slow", "check", "clean"} <= targets
    listed = dict(re.findall(r"^  ([a-z]\w*) +(\S.*)$", run("make", "help"), re.MULTILINE))
    assert set(listed) == targets
    assert run("make") == run("make", "help")
    database = run("make", "--dry-run", "--print-data-base", "help")
    phony = re.search(r"^\.PHONY: (.*)$", database, re.MULTILINE)
    assert phony is not None and set(phony[1].split()) == targets


def test_every_table_has_a_target_and_every_target_of_the_script_a_table() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert set(re.findall(r"^(\w+): .*\n\t\$\(table\)$", text, re.MULTILINE)) == set(TABLES)


@needs_make
@pytest.mark.parametrize("target", TABLES)
def test_variables_reach_the_flags_of_every_table(target: str) -> None:
    assert {flag for flag, _ in VALUES.values()} <= flag_names(SCRIPTS / "tables" / "__main__.py")
    begin = f"-m experiments.tables --table={target}"
    unset = run("make", "--dry-run", target)
    assert begin in unset and "--" not in unset.partition(begin)[2]
    given = [f"{variable}={value}" for variable, (_, value) in VALUES.items()]
    command = run("make", "--dry-run", target, *given).partition(begin)[2]
    assert sorted(re.findall(r"--\w+='[^']*'", command)) == sorted(f"--{flag}='{v}'" for flag, v in VALUES.values())


@needs_make
@pytest.mark.parametrize(
    ("target", "script", "variables"),
    [
        *((f"pretrain_{name}", "pretrain.gvae", ["SEED=1", "SETTING=paper", "EPOCHS=3"]) for name in (*SHORT, "macro")),
        *((f"proxy_{name}", "pretrain.proxy_scores", ["COUNT=9", "SEED=1", "OUT=a"]) for name in SHORT),
        ("data_nb101", "benchmark_data.nb101.build", ["TFRECORD=a", "KNOWN=c", "TEST_MEANS=d", "OUT=b.npz"]),
        ("data_macro", "benchmark_data.macro", ["JSON=a.json", "OUT=b.npz"]),
        ("data_nb301", "benchmark_data.nb301.build", ["MODELS=a", "OUT=b"]),
        ("data_nbnlp", "benchmark_data.nbnlp.build", ["RECIPES=a", "CURVES=b", "OUT=c"]),
        ("all_nb201", "pretrain.pipeline", ["WORK=w", "EPOCHS=2", "TRIALS=3", "INIT=random", "METHODS=bananas"]),
        ("ability", "studies.ability", ["OUT=x", "SEED=1"]),
        ("suite", "suite", ["TASKS=a", "METHODS=b", "PRESET=c", "INIT=d", "TRIALS=2", "SEED=100", "CHOSEN_ON=1"]),
        ("figures", "figures", ["DATASETS=cifar10", "OUT=x", "SEED=1", "PRESET=paper", "FIGURES=latents"]),
        ("data_nb201", "benchmark_data.nb201", ["CSV=a.csv", "PTH=b.pth", "OUT=c.npz"]),
    ],
)
def test_other_scripts_know_the_flags_they_get(target: str, script: str, variables: list[str]) -> None:
    command = run("make", "--dry-run", target, *variables).partition(f"-m experiments.{script}")[2]
    passed = set(re.findall(r"--(\w+)=", command))
    assert len(passed) >= len(variables) and passed <= flag_names(script_path(script))


@needs_make
def test_wrong_python_is_refused(tmp_path: Path) -> None:
    python, venv = tmp_path / "python", tmp_path / "venv"
    pretend = "import sys; sys.version_info = (3, 9, 1); exec(sys.argv[1])"
    python.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{pretend}' \"$2\"\n")
    python.chmod(0o755)
    for name, told in ((str(python), "is Python 3.9; InvertNAS needs 3.10, 3.11 or 3.12"), ("nopython", "no nopython")):
        done = start("make", "install", f"PYTHON={name}", f"VENV={venv}")
        assert done.returncode != 0 and told in done.stderr
        assert not venv.exists()
