"""What pyproject.toml cannot say: conf/ is installed as pamiq_lightning/conf."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["agent*", "pamiq_lightning*"]), "pamiq_lightning.conf"],
    package_dir={"pamiq_lightning.conf": "conf"},
)
