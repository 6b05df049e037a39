"""The flags that choose a tokenizer, alike in every script that tokenizes."""

import math
import os
from collections.abc import Sequence
from typing import Any

from absl import flags, logging

from deeq_bert.tokenizers import command_line, contract, registry
from deeq_bert.tokenizers.analyzers.base import AnalyzerSettings
from deeq_bert.tokenizers.analyzers.selection import EMBEDDED, SERVERS, analyzer_name
from deeq_bert.tokenizers.base import Tokenizer, TokenizerSettings
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.processes import default_num_workers
from deeq_bert.tokenizers.vocabulary import check_no_duplicates, check_special_tokens

FLAGS = flags.FLAGS
# Each script's --help then shows them as its own.
flags.disclaim_key_flags()

_SERVER_VARIABLE = "DEEQ_SERVER"
_SERVER_FLAGS = ("deeq_server", "api_key_file", "deeq_domain", "deeq_timeout")
_ANALYZER_FLAGS = ("analyzer", *_SERVER_FLAGS, "morpheme_cache", "morpheme_cache_gb")


def define_tokenizer_flags() -> None:
    """Defines --tokenizer and what goes with it; --vocab_file is each script's own."""
    flags.DEFINE_string(
        "tokenizer",
        "wordpiece",
        "How text becomes tokens: wordpiece is BERT's own; deeq makes tokens of morphemes; "
        "deeq-wordpiece cuts morphemes into WordPieces; other names are those of installed "
        "plug-ins. Must be what the vocabulary was made for.",
    )
    flags.DEFINE_bool(
        "do_lower_case",
        True,
        "Whether to lower-case the text and strip accents, which takes Hangul apart. Must be what "
        "the vocabulary was made with: False for a cased one, as Korean ones are. The deeq "
        "tokenizers never do it.",
    )
    flags.DEFINE_bool(
        "deeq_compat",
        False,
        "Whether to repeat the quirks of the first deeq tokenizer: tabs glue words together, only "
        "the first [MASK] is a token, and an unknown character takes the rest of its morpheme with "
        "it. For --tokenizer=deeq only.",
    )
    define_mismatch_flag()
    define_analyzer_flags()


def define_mismatch_flag() -> None:
    """Defines --allow_tokenizer_mismatch."""
    flags.DEFINE_bool(
        "allow_tokenizer_mismatch",
        False,
        "Whether to go on where the tokenizer is not the one that the vocabulary, or the stage "
        "before, names in its tokenizer_config.json.",
    )


def refuse_unless_allowed(error: InputError) -> None:
    """Raises `error`, or warns of it where --allow_tokenizer_mismatch is given."""
    if not FLAGS.allow_tokenizer_mismatch:
        raise error
    logging.warning("Allowed by --allow_tokenizer_mismatch: %s", error)


def define_analyzer_flags() -> None:
    """Defines the flags about morpheme analysis, and --num_workers."""
    flags.DEFINE_enum(
        "analyzer",
        None,
        [*SERVERS, *EMBEDDED],
        "What splits text into morphemes: the server deeq or bareun, or kiwi or mecab in this "
        "process. Without it, deeq where a server is named, and kiwi otherwise.",
    )
    flags.DEFINE_string(
        "deeq_server",
        None,
        f"host:port of the analysis server. Without it, the environment variable "
        f"{_SERVER_VARIABLE}.",
    )
    flags.DEFINE_string(
        "api_key_file",
        None,
        "The file with the key of a bareun server. One line, readable by its owner only.",
    )
    flags.DEFINE_string("deeq_domain", None, "The custom dictionary that the server shall use.")
    flags.DEFINE_float(
        "deeq_timeout",
        60.0,
        "The seconds the server has to answer a request of up to 200 kB. Above 0.",
    )
    flags.DEFINE_string(
        "morpheme_cache",
        None,
        "A folder where analyses are kept, so that no text is analysed twice, in later runs "
        "neither. On a local disk.",
    )
    flags.DEFINE_float(
        "morpheme_cache_gb",
        20.0,
        "How many gigabytes the analyses of one analyser may take there, the oldest making room. "
        "Above 0.",
    )
    flags.DEFINE_integer(
        "num_workers",
        0,
        "How many processes work at the text; the result does not depend on it. 0 is one for each "
        "core where that pays: with the deeq tokenizers, and to count words.",
    )


def tokenizer_settings() -> TokenizerSettings:
    """Returns what the flags ask for.

    Raises:
      InputError: A value is out of its range, or flags contradict each other.
    """
    name = FLAGS.tokenizer
    registry.check_name(name)
    do_lower_case = FLAGS.do_lower_case
    if registry.uses_analyzer(name):
        if do_lower_case and command_line.explicitly_given("do_lower_case"):
            raise InputError(
                f"--do_lower_case=True does not go with --tokenizer={name}, which keeps the text "
                "as it is. Leave it out."
            )
    else:
        for flag in _ANALYZER_FLAGS:
            if command_line.explicitly_given(flag):
                logging.warning("--%s has no effect with --tokenizer=%s.", flag, name)
    if FLAGS.deeq_compat and name != "deeq":
        raise InputError(
            f"--deeq_compat is for --tokenizer=deeq, not for {name}. Leave it out, or change the "
            "tokenizer."
        )
    return settings_of(name, FLAGS.vocab_file, do_lower_case, FLAGS.deeq_compat)


def settings_of(
    name: str, vocab_file: str, do_lower_case: bool, deeq_compat: bool
) -> TokenizerSettings:
    """Returns the settings of a tokenizer, with the analyser that the flags ask for."""
    analyzer = AnalyzerSettings()
    if registry.uses_analyzer(name):
        analyzer = analyzer_settings(contract.user_words(vocab_file))
        do_lower_case = False
    return TokenizerSettings(name, vocab_file, do_lower_case, deeq_compat, analyzer)


def analyzer_settings(user_words: Sequence[str] = ()) -> AnalyzerSettings:
    """Returns the analyser that the flags ask for.

    Args:
      user_words: Words that it shall not take apart.

    Raises:
      InputError: A value is out of its range, or flags contradict each other.
    """
    for flag in ("deeq_timeout", "morpheme_cache_gb"):
        if not 0 < FLAGS[flag].value < math.inf:
            raise InputError(f"--{flag}={FLAGS[flag].value}: must be above 0.")
    server = FLAGS.deeq_server or os.environ.get(_SERVER_VARIABLE) or None
    if FLAGS.analyzer in EMBEDDED:
        for flag in _SERVER_FLAGS:
            if command_line.explicitly_given(flag):
                raise InputError(
                    f"--{flag} is about a server, but --analyzer={FLAGS.analyzer} asks for none. "
                    "Leave one of them out."
                )
        server = None
    settings = AnalyzerSettings(
        name=FLAGS.analyzer,
        server=server,
        api_key_file=FLAGS.api_key_file,
        domain=FLAGS.deeq_domain,
        timeout=FLAGS.deeq_timeout,
        user_words=tuple(user_words),
        cache_dir=FLAGS.morpheme_cache,
        cache_gigabytes=FLAGS.morpheme_cache_gb,
    )
    if user_words and analyzer_name(settings) != "kiwi":
        logging.warning(
            "The user words are not made known to the analyser %s. Enter them in its own "
            "dictionary.",
            analyzer_name(settings),
        )
    return settings


def num_workers(tokenizer_name: str) -> int:
    """Returns how many processes shall tokenize.

    Raises:
      InputError: --num_workers is negative.
    """
    if FLAGS.num_workers < 0:
        raise InputError(f"--num_workers={FLAGS.num_workers}: must be 0 or more.")
    if FLAGS.num_workers:
        return FLAGS.num_workers
    return default_num_workers() if registry.uses_analyzer(tokenizer_name) else 1


def load_tokenizer(settings: TokenizerSettings) -> tuple[Tokenizer, dict[str, Any]]:
    """Makes the tokenizer, checks that its vocabulary suits it, and says what it is in the log.

    Returns:
      The tokenizer and its contract.

    Raises:
      InputError: The vocabulary cannot serve, or was made with another tokenizer.
    """
    tokenizer = registry.make_tokenizer(settings)
    check_special_tokens(tokenizer.vocab, settings.vocab_file)
    check_no_duplicates(settings.vocab_file)
    try:
        agreed = contract.check_contract(settings, tokenizer)
    except InputError as error:
        refuse_unless_allowed(error)
        agreed = contract.make_contract(settings.name, tokenizer)
    if registry.uses_analyzer(settings.name):
        log_analyzer(settings.analyzer, agreed["analyzer"])
    return tokenizer, agreed


def log_analyzer(settings: AnalyzerSettings, identity: dict[str, Any]) -> None:
    """Says in the log what splits the text into morphemes."""
    version = identity.get("version")
    name = f"{identity['name']} {version}" if version else identity["name"]
    if settings.server:
        logging.info("Morphemes are by the server %s at %s.", name, settings.server)
        return
    reason = "" if settings.name else " (no --deeq_server is given)"
    logging.info("Morphemes are by %s, in the process itself%s.", name, reason)
