"""Let a model judge pairs of pictures by the paper's preference prompt, each pair in both orders.

  python scripts/judge.py --pairs sd3_f16_wlf,sd3_f16 --images sd3_f16=…/shard-0-of-1.json … \\
      --dataset … --folder eval/size_4096 --prompts 50 --base-url … --model … --output judge.json

Writes the votes as CSV beside the manifest, and every answer as JSONL. An answer in no form that
gives votes counts as refused. The same command goes on where it stopped; no answer is paid twice.
"""

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

from diffusion4k import cli, files, limits, manifest
from diffusion4k.data import captions, shards
from diffusion4k.endpoints import flags as endpoint
from diffusion4k.endpoints import prompts
from diffusion4k.errors import UserError
from diffusion4k.people import judge, pictures, votes


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flags.add_argument("--pairs", nargs="+", required=True, metavar="MODEL,MODEL")
    flags.add_argument(
        "--images", nargs="+", required=True, metavar="MODEL=MANIFEST",
        help="generated pictures; a model may come several times, once a shard",
    )  # fmt: skip
    flags.add_argument("--dataset", type=Path, required=True, help="manifest of the prompts' data")
    flags.add_argument("--folder", required=True, help="folder in it, e.g. eval/size_4096")
    flags.add_argument(
        "--captions", nargs="+", default=[], metavar="MODEL=MANIFEST",
        help="models of other captions: their data set under these",
    )  # fmt: skip
    flags.add_argument(
        "--prompts", type=limits.count, help="so many at even distances (default: all)"
    )
    flags.add_argument("--system", type=Path, default=prompts.path("preference_system"))
    flags.add_argument("--question", type=Path, default=prompts.path("preference"))
    endpoint.add(flags)
    flags.add_argument("--output", type=Path, required=True, help="manifest, R/people/judge.json")
    return flags


def run(args: argparse.Namespace) -> None:
    started = time.time()
    chat = endpoint.chat(args)
    system, asked = prompts.read(args.system), prompts.read(args.question)
    dataset = manifest.read(args.dataset)
    samples = shards.spread(captions.of(dataset, args.folder), args.prompts)
    sources = pictures.sources(args.images)
    of = pictures.of(sources)
    pairs = [two(pair, of) for pair in args.pairs]
    captioned = pictures.own_captions(args.captions)
    shown = judge.shown(pairs, samples, pictures.texts(captioned, args.folder))
    questions = [judge.question(pair, of, system, asked) for pair in shown]
    coming = chat.answer_all(questions, args.workers)
    answers = list(cli.progress(coming, total=len(questions), desc="judge", unit="answer"))

    cast = judge.votes(args.model, shown, answers)
    table, replies = args.output.with_suffix(".csv"), args.output.with_suffix(".jsonl")
    votes.write(table, cast)
    refusals = [judge.refusal(answer) for answer in answers]
    files.write_text(replies, "".join(map(line, shown, answers, refusals)))
    refused = {why: refusals.count(why) for why in sorted({*refusals} - {""})}
    manifest.write(
        args.output,
        root=args.output.parent,
        files=[table, replies],
        inputs={"dataset": args.dataset}
        | {f"{model}:{i}": source.path for i, (model, source) in enumerate(sources)}
        | {f"{model}:captions": source.path for model, source in captioned},
        settings=vars(args),
        results={
            "answers": len(answers),
            "asked": chat.asked,
            "refusals": sum(refused.values()),
            "refused": refused,
            "votes": len(cast),
            "contradictions": judge.contradictions(cast),
        }
        | chat.spent(answers),
        started=started,
        notes=[*dataset.notes, *(n for _, m in (*captioned, *sources) for n in m.notes)],
    )
    print(f"{table}: {len(cast)} votes of {args.model}, {sum(refused.values())} answers refused")


def line(pair: judge.Shown, answer, refusal: str) -> str:
    """One answer as it was given, and why it gives no votes."""
    record = {"prompt_id": pair.prompt.id, "first": pair.first, "second": pair.second}
    return json.dumps(record | asdict(answer) | {"refusal": refusal}, ensure_ascii=False) + "\n"


def two(pair: str, of: dict) -> tuple[str, str]:
    """MODEL,MODEL as two models that have pictures."""
    models = tuple(pair.split(","))
    if len(models) != 2 or models[0] == models[1] or not set(models) <= set(of):
        known = ", ".join(of)
        raise UserError(f"--pairs {pair}: write MODEL,MODEL, two of --images' {known}")
    return models


if __name__ == "__main__":
    cli.main(run, parser())
