"""Engines for the language server's tests: they say what they were asked, slowly, or die."""

import os
import time


def prompt(model):
    """Answers at once: what stands in a comment `# say: …` on the cursor's line, or a name for that line."""

    def answer(request, cancel, report):
        if model == "broken":
            raise RuntimeError("it broke")
        line = request["source"][: request["start"]].rsplit("\n", 1)[-1]
        if "die" in line:
            os._exit(3)
        text = "suggested(1, 2)" if request["do"] == "complete" else "filled"
        if request["block"]:
            text += "\n    and_more()"
        return [{"text": text, "start": request["start"], "end": request["end"], "score": -1.0}]

    if model == "missing":
        raise ValueError("there is no such model")
    return answer


def slow(model):
    """Takes 100 steps of 10 ms, and tells in $STEPS_TO how many it took; when it begins, there is $STEPS_TO.began."""

    def answer(request, cancel, report):
        open(os.environ["STEPS_TO"] + ".began", "w").close()
        took = 0
        for step in range(100):
            if cancel.is_set():
                break
            time.sleep(0.01)
            took += 1
            report(step + 1, 100)
        with open(os.environ["STEPS_TO"], "a") as file:
            print(took, file=file)
        return [{"text": "late", "start": request["start"], "end": request["end"], "score": 0.0}]

    return answer


def loading(model):
    """Never has its model."""
    time.sleep(3600)
