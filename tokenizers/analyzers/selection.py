"""The analyser that settings ask for."""

from collections.abc import Mapping

from deeq_bert.tokenizers.analyzers.base import Analyzer, AnalyzerSettings
from deeq_bert.tokenizers.errors import InputError

SERVERS = ("deeq", "bareun")
EMBEDDED = ("kiwi", "mecab")


def analyzer_name(settings: AnalyzerSettings) -> str:
    """Returns which analyser `settings` choose: the server where one is named, otherwise Kiwi."""
    return settings.name or ("deeq" if settings.server else "kiwi")


def make_analyzer(settings: AnalyzerSettings) -> Analyzer:
    """Makes the analyser, with a cache in front of it where `settings` name a folder for one.

    Raises:
      InputError: The settings contradict each other, what the analyser needs is not installed, or
        the folder of the cache cannot be used.
    """
    name = analyzer_name(settings)
    key_facts: Mapping[str, str] = {}
    if name in SERVERS:
        if not settings.server:
            raise InputError(
                f"--analyzer={name} needs the address of its server: give --deeq_server=host:port, "
                "or set DEEQ_SERVER."
            )
        from deeq_bert.tokenizers.analyzers.deeq_client import ServerAnalyzer

        analyzer: Analyzer = ServerAnalyzer(
            settings.server, name, settings.api_key_file, settings.domain, settings.timeout
        )
        # Another server may run another version, which the protocol does not tell.
        key_facts = {"server": settings.server}
    elif name == "kiwi":
        from deeq_bert.tokenizers.analyzers.kiwi import KiwiAnalyzer

        analyzer = KiwiAnalyzer(settings.user_words)
    elif name == "mecab":
        from deeq_bert.tokenizers.analyzers.mecab_ko import MecabAnalyzer

        analyzer = MecabAnalyzer()
    else:
        raise InputError(
            f"--analyzer={name}: there is no such analyser. Give one of "
            f"{', '.join((*SERVERS, *EMBEDDED))}."
        )
    if not settings.cache_dir:
        return analyzer
    from deeq_bert.tokenizers.analyzers.cache import CachedAnalyzer

    return CachedAnalyzer(analyzer, settings.cache_dir, settings.cache_gigabytes, key_facts)
