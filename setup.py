"""Puts the app into the wheel: app.py and pages/ stay at the top of the project, where `streamlit run app.py` finds
them, and are installed as recformer/ui/app/. Everything else about the package is in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    script_name="setup.py",  # which is no module of the app, though it lies beside app.py
    packages=[*find_packages(include=["recformer*"]), "recformer.ui.app", "recformer.ui.app.pages"],
    package_dir={"recformer.ui.app": ".", "recformer.ui.app.pages": "pages"},
)
