"""No command goes online, starts another program or unpickles; every requirement has a hash."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent

COMMANDS = """
import sys

import matplotlib.font_manager, pandas, sklearn.linear_model, tensorflow  # may look at the machine
from sklearn.metrics import pairwise_distances_argmin

pairwise_distances_argmin([[0.0]], [[0.0]])  # looks once at the libraries that are loaded

from cladec.commands import main as cli

FORBIDDEN = (
    "socket.", "urllib.", "http.", "ftplib.", "smtplib.", "subprocess.", "os.system", "os.exec",
    "os.posix_spawn", "os.spawn", "os.fork", "pty.", "pickle.find_class", "ctypes.dlopen",
)

def forbid(event, arguments):
    if event.startswith(FORBIDDEN):
        raise RuntimeError(f"forbidden: {event} {arguments}")

def run(*arguments):
    cli.main([str(argument) for argument in arguments])

sys.addaudithook(forbid)
"""

EVERY_ONE = """
folder, image = sys.argv[1:]
models, model = f"{folder}/saved-models", f"{folder}/saved-models/digits/vgg/classifier.keras"
quick = ["--epochs", 1, "--batch-size", 256, "--workers", 0]
run("train", "--datasets", "digits", "--layers", "dense", "--alphas", 0.5, "--out", models, *quick)
run("evaluate", "--models", models, "--out", f"{folder}/eval", "--workers", 0)
of_model = ["--model", model, "--methods", "saliency"]
run("explain", *of_model, "--images", image, "--out", f"{folder}/explained")
of_digits = [*of_model, "--dataset", "digits", "--images", 2]
run("compare", *of_digits, "--measures", "deletion", "--out", f"{folder}/compared")
run("metrics", *of_digits, "--out", f"{folder}/measured")
reported = ["--evaluation", f"{folder}/eval", "--images", 4, "--methods", "saliency"]
out = ["--workers", 0, "--out", f"{folder}/report.html"]
layers = ["--datasets", "digits", "--layers", "dense", "--epochs", 1]
few = [*layers, "--images", 64]
run("depth", "--classifier", model, *few, "--out", f"{folder}/depth")
run("diff", model, model, *few, "--out", f"{folder}/diff")
attack = ["--known", 64, "--noise", 0, "--gallery", 20]
run("leak", "--classifier", model, *layers, *attack, "--out", f"{folder}/leak")
audited = ["--classifier", model, "--datasets", "digits", "--images", 2, "--epochs", 1]
run("audit", *audited, "--patch", "corner", "--out", f"{folder}/audited")
run("report", "--models", models, *reported, *out)
"""


def test_no_command_goes_online_or_starts_a_program(tmp_path):
    Image.new("L", (28, 28), 128).save(tmp_path / "image.png")
    arguments = [str(tmp_path), str(tmp_path / "image.png")]
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS + EVERY_ONE, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {
        *("image.png", "saved-models", "eval", "explained", "compared", "measured"),
        *("report.html", "depth", "diff", "leak", "audited"),
    }


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.system('true')",
        "import pickle; pickle.loads(pickle.dumps(print))",
    ],
)
def test_what_watches_the_commands_would_notice(code):
    watched = COMMANDS.replace(
        "import matplotlib.font_manager, pandas, sklearn.linear_model, tensorflow", ""
    )
    done = subprocess.run([sys.executable, "-c", watched + code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "forbidden: " in done.stderr


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_with_hashes(name):
    text = re.sub(r"^\s*#.*$", "", (ROOT / name).read_text(), flags=re.MULTILINE)
    requirements = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    assert len(requirements) > 20
    for requirement in requirements:
        assert re.match(r"[\w.\[\],-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", requirement), requirement
