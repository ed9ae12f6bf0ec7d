"""A real Emacs with eglot, without a screen: what it shows, what it writes when that is taken, undo, and text in step.

$EMACS_PROGRAM may name another than `emacs`.
"""

import os
import shutil
import subprocess

import pytest

pytest.importorskip("pygls", reason="the [lsp] extra is not installed")

from lsp_session import HERE, command, environment

PROGRAM = os.environ.get("EMACS_PROGRAM", "emacs")
START = [PROGRAM, "--batch", "--no-site-file", "--eval", "(package-initialize)", "--eval", "(require 'eglot)"]
EL = HERE.parent / "lsp" / "editors" / "emacs" / "dgemma.el"


@pytest.fixture(scope="module", autouse=True)
def emacs():
    if shutil.which(PROGRAM) is None:
        pytest.skip("Emacs is not installed (Debian: apt-get install emacs-nox elpa-eglot)")
    if subprocess.run(START, capture_output=True, timeout=60).returncode:
        pytest.skip("this Emacs has no eglot (Debian: apt-get install elpa-eglot)")


def lisp(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def run(tmp_path, script):
    """Run some Lisp in a buffer that the server has; what it prints, line by line."""
    file = tmp_path / "a.py"
    file.write_text("def f(a):\n    return a\n\nx = ")
    words = " ".join(map(lisp, command("prompt")))
    prelude = f"""
    (load {lisp(str(EL))} nil t)
    (defmacro until (condition) `(let ((end (+ (float-time) 30)))
       (while (not ,condition)
         (when (> (float-time) end) (error "waited in vain: %S" ',condition))
         (accept-process-output nil 0.02))))
    (setq dgemma-command '({words}) eglot-sync-connect 30 eglot-events-buffer-size 0)
    (find-file {lisp(str(file))})
    (python-mode)
    (buffer-enable-undo)
    (dgemma-start)
    (defvar uri (eglot--path-to-uri buffer-file-name))
    (until (eq t (plist-get (dgemma-run "statistics") :ready)))
    (goto-char (point-max))
    """
    program = tmp_path / "run.el"
    program.write_text(prelude + script + "\n(eglot-shutdown (eglot-current-server))")
    done = subprocess.run([*START, "-l", str(program)], capture_output=True, text=True, timeout=120, env=environment())
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


def test_see_accept_undo(tmp_path):
    script = """
    (defun shown () (and dgemma--overlay (overlay-get dgemma--overlay 'after-string)))
    (dgemma-ask)
    (until (shown))
    (message "%s" (shown))
    (princ (format "%s\\n" (substring-no-properties (shown))))
    (insert "sug") (dgemma--draw)
    (princ (format "%s\\n" (substring-no-properties (shown))))
    (dgemma-accept-word)
    (princ (format "%s\\n" (thing-at-point 'line t)))
    (dgemma-accept)
    (princ (format "%s %S\\n" (thing-at-point 'line t) (shown)))
    (eglot--signal-textDocument/didChange)
    (princ (format "%S\\n" (equal (dgemma-run "text" uri) (buffer-string))))
    (undo-boundary) (setq last-command 'other) (undo)
    (princ (format "%s\\n" (thing-at-point 'line t)))
    (eglot--signal-textDocument/didChange)
    (princ (format "%S\\n" (equal (dgemma-run "text" uri) (buffer-string))))
    """
    assert run(tmp_path, script) == [
        "suggested(1, 2)",
        "gested(1, 2)",
        "x = suggested",
        "x = suggested(1, 2) nil",
        "t",
        "x = suggested",
        "t",
    ]


def test_the_server_has_the_buffers_text_after_a_thousand_random_edits(tmp_path):
    script = """
    (random "seed")
    (defvar pieces ["a" "b " "\\n" "\\f" "\\v" "\\u2028" "\\u0085" "ä" "ß€" "𝄞" "👩\\u200d👧" "한" ""])
    (dotimes (i 1000)
      (let* ((a (1+ (random (point-max)))) (a (min a (point-max))) (b (min (+ a (random 4)) (point-max))))
        (delete-region a b)
        (goto-char a)
        (dotimes (_ (random 4)) (insert (aref pieces (random (length pieces)))))
        (when (zerop (random 10)) (eglot--signal-textDocument/didChange))))
    (eglot--signal-textDocument/didChange)
    (princ (format "%S %S\\n" (> (buffer-size) 100) (equal (dgemma-run "text" uri) (buffer-string))))
    """
    assert run(tmp_path, script) == ["t t"]
