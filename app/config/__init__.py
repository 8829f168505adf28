"""Settings, paths and project files. Import from here: ``from app.config import Paths, Project, load_project``."""

from __future__ import annotations

from app.config.complaints import Complaint, ProjectInvalid
from app.config.paths import Paths, make_private
from app.config.project import (
    FILE_NAMES,
    Project,
    find_project_file,
    load_project,
    load_rules,
    parse_fleet,
    prepare_project,
)
from app.config.schema import SCHEMAS, schema_text

__all__ = [
    "FILE_NAMES",
    "SCHEMAS",
    "Complaint",
    "Paths",
    "Project",
    "ProjectInvalid",
    "find_project_file",
    "load_project",
    "load_rules",
    "make_private",
    "parse_fleet",
    "prepare_project",
    "schema_text",
]
