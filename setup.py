"""Packaging: the tree's three folders become one importable package, `deeq_bert`.

`package_dir` maps the repository root to `deeq_bert`, so that nothing called `bert`, `corpus` or
`tokenizers` lands in site-packages, where it would hide other people's packages of that name.
"""

from setuptools import Extension, setup

# Another version cuts some words another way, and vocabularies name the one they were made with.
DEEQ_REQUIREMENTS = ["kiwipiepy==0.24.1", "kiwipiepy_model==0.24.0"]
PLOT_REQUIREMENTS = ["matplotlib>=3.8"]
VOCAB_REQUIREMENTS = ["tokenizers>=0.21,<0.24"]
# For weights in bfloat16, the latter, which TensorFlow brings from 2.14 on.
EXPORT_REQUIREMENTS = ["safetensors>=0.5,<0.9", "ml_dtypes>=0.2"]
# It holds protobuf below 7, which TensorFlow 2.21 accepts.
BEAM_REQUIREMENTS = ["apache-beam>=2.77,<3"]
TEST_REQUIREMENTS = [
    "pytest>=8",
    "pytest-xdist>=3.7",
    "ruff==0.17.6",
    *DEEQ_REQUIREMENTS,
    *VOCAB_REQUIREMENTS,
    *EXPORT_REQUIREMENTS,
    *PLOT_REQUIREMENTS,
    *BEAM_REQUIREMENTS,
]

setup(
    name="deeq-bert",
    version="0.1.0",
    description="Korean BERT from raw text to a pre-trained checkpoint, on TensorFlow 2",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",
    package_dir={"deeq_bert": "."},
    packages=[
        "deeq_bert.bert",
        "deeq_bert.configs.corpus",
        "deeq_bert.configs.tasks",
        "deeq_bert.corpus",
        "deeq_bert.corpus.readers",
        "deeq_bert.corpus.rules",
        "deeq_bert.tokenizers",
        "deeq_bert.tokenizers.analyzers",
    ],
    # Without a C compiler it is left out, and Python does the same more slowly.
    ext_modules=[Extension("deeq_bert.bert._instances", ["bert/_instances.c"], optional=True)],
    package_data={
        "deeq_bert.configs.corpus": ["*.json"],
        "deeq_bert.configs.tasks": ["*.json"],
        "deeq_bert.corpus": ["sample/*", "sample/raw/*", "sample/tasks/*", "sample/tasks/*/*"],
    },
    install_requires=[
        # 2.13 is the oldest that the tests pass on; 2.12 rounds one of the golden outputs another
        # way.
        "tensorflow>=2.13,<2.22",
        "absl-py>=2.1",
        "numpy>=1.22",
        "tqdm>=4.66",
        "google-crc32c>=1.5",
    ],
    extras_require={
        "gpu": ["tensorflow[and-cuda]>=2.15,<2.22"],
        "deeq": DEEQ_REQUIREMENTS,
        # There is none for Python 3.13.
        "mecab": ["python-mecab-ko>=1.3"],
        "vocab": VOCAB_REQUIREMENTS,
        # Weights of Hugging Face folders.
        "export": EXPORT_REQUIREMENTS,
        # Cleaning and record making by a cluster.
        "beam": BEAM_REQUIREMENTS,
        "viz": ["tensorboard>=2.19", *PLOT_REQUIREMENTS],
        # Corpora that are compressed by zstd.
        "zst": ["zstandard>=0.22"],
        "test": TEST_REQUIREMENTS,
    },
)
