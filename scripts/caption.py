"""Give images other captions: yours, or those that a model writes by the paper's prompt.

  python scripts/caption.py --dataset …/sources/mine.json --folder . --base-url … --model … \\
      --output results/paper/captions/gpt/mine.json

Makes a data set of links to the images with a metadata.jsonl (file_name, text), which any stage
reads in place of the first. Captions of --captions win; for the others the model is asked. Every
answer is kept, so that the same command goes on where it stopped.
"""

import argparse
import time
from pathlib import Path

from diffusion4k import cli, files, manifest
from diffusion4k.data import recaption
from diffusion4k.endpoints import flags as endpoint
from diffusion4k.endpoints import prompts
from diffusion4k.endpoints.chat import Question


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flags.add_argument("--dataset", type=Path, required=True, help="manifest of the images")
    flags.add_argument("--folder", required=True, help="folder in it, e.g. train, or .")
    flags.add_argument("--captions", type=Path, help="JSONL with text and file_name or id")
    flags.add_argument("--prompt", type=Path, default=prompts.path("caption"))
    endpoint.add(flags)
    flags.add_argument(
        "--output", type=Path, required=True, help="manifest; the folder of its name"
    )
    return flags


def run(args: argparse.Namespace) -> None:
    started, root = time.time(), args.output.with_suffix("")
    files.refuse_others(root)  # before a model is asked
    dataset = manifest.read(args.dataset)
    pictures = recaption.members(dataset, args.folder)
    given = recaption.read(args.captions) if args.captions else {}
    texts = recaption.of_images(given, (p.path.stem for p in pictures), args.captions)
    missing = [picture for picture in pictures if picture.path.stem not in texts]
    results = {"images": len(pictures), "given": len(texts)}
    notes, name = list(dataset.notes), args.output.parent.name
    faults = {picture.path.name: f"not in {args.captions}" for picture in missing}
    if args.captions and texts:
        notes.append(f"{name} captions of {args.output.stem}: {args.captions.name}")
    if missing and args.model:
        faults, written = {}, write(args, missing, results)
        for picture, answer in zip(missing, written, strict=True):
            texts[picture.path.stem] = recaption.plain(answer.text)
            if answer.refusal:
                faults[picture.path.name] = f"refused, {answer.refusal}"
        notes.append(f"{name} captions of {args.output.stem}: by {args.model}")
    recaption.refuse(faults, len(pictures), args.output.with_suffix(".missing.txt"))
    manifest.write(
        args.output,
        root=root,
        files=recaption.lay(root, dataset, args.folder, pictures, texts),
        inputs={"dataset": args.dataset},
        settings=vars(args),
        results=results,
        started=started,
        notes=notes,
    )
    print(f"{args.output}: {len(pictures)} captions, {results['given']} given")
    if elsewhere := len(given) - results["given"]:
        print(f"{args.captions}: {elsewhere} captions are of no image here")


def write(args: argparse.Namespace, pictures: list, results: dict) -> list:
    """An answer for each picture; what they cost goes into `results`."""
    chat = endpoint.chat(args)
    text = prompts.read(args.prompt).text
    questions = [Question(text, [picture]) for picture in pictures]
    coming = chat.answer_all(questions, args.workers)
    answers = list(cli.progress(coming, total=len(questions), desc="caption", unit="image"))
    results |= {"asked": chat.asked} | chat.spent(answers)
    return answers


if __name__ == "__main__":
    cli.main(run, parser())
