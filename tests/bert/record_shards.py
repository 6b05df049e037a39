"""Sets of shards as create_pretraining_data.py leaves them, made of the records of one file."""

import hashlib
import json
import pathlib

from deeq_bert.bert.records import frame_record, read_records


def make_set(
    records: pathlib.Path, folder: pathlib.Path, count: int, **choices
) -> list[pathlib.Path]:
    """Spreads the records of a file over train.tf-*-of-N, with what stands beside them."""
    info = json.loads(pathlib.Path(f"{records}.json").read_text()) | {"num_shards": count} | choices
    # What holds for all records does not for some.
    for name in ("instance_tokens", "random_next", "predictions", "length_counts"):
        info.pop(name, None)
    examples = list(read_records(str(records)))
    shards, entries = [], []
    for number in range(count):
        own = examples[number::count]
        path = folder / f"train.tf-{number:05d}-of-{count:05d}"
        path.write_bytes(b"".join(map(frame_record, own)))
        facts = {
            "records": len(own),
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        write_info(path, info | facts | {"shard": number})
        entries.append({"name": path.name, **facts})
        shards.append(path)
    total = {name: sum(entry[name] for entry in entries) for name in ("records", "bytes")}
    write_info(folder / "train.tf", info | total | {"shards": entries})
    return shards


def write_info(path: pathlib.Path, info: dict) -> None:
    """Puts what is known of records beside them."""
    pathlib.Path(f"{path}.json").write_text(json.dumps(info))
