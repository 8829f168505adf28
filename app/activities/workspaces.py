"""How an agent's workspace begins and how it comes out: files by the mirror, and by git when there is a repository."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from app.config import Paths, Project
from app.domain.errors import SkerryError
from app.domain.fleet import AgentSpec
from app.domain.machines import MirrorReport
from app.domain.ports import Sandbox
from app.sandbox.clone import bring_branch_out, clone_into
from app.sandbox.host_git import GitFailed
from app.sandbox.repository import AgentRepository, BundleRefused, check_repository

log = logging.getLogger(__name__)


class Workspaces:
    """Seeds fresh machines and brings out what was done in them."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def repository(self, project: Project, spec: AgentSpec) -> AgentRepository:
        """What is kept of the agent's commits and of what it started from."""
        return AgentRepository(self._paths.repository(project.fleet_id, spec.id), spec.id)

    async def check(self, project: Project) -> None:
        """Raises ConfigError when the project's repository cannot be cloned as it is now."""
        if project.repository is not None:
            await asyncio.to_thread(check_repository, project.repository)

    async def seed(self, sandbox: Sandbox, project: Project, spec: AgentSpec) -> None:
        """Fill an empty workspace: with a clone of the project's repository, else with the files of sandbox_path.

        Raises ConfigError when they cannot be used, SandboxError when the machine fails.
        """
        kept, source = self.repository(project, spec), project.repository
        seed = project.sandbox_path(spec)
        if source is not None:
            await asyncio.to_thread(kept.begin_from_repository, source, seed)
            await clone_into(sandbox, kept, spec.id)
            return
        try:
            await asyncio.to_thread(kept.begin_from_folder, seed)
        except (SkerryError, OSError) as error:  # without it there is only no comparison
            log.warning("%s: what it starts from could not be noted: %s", spec.id, error)
        await sandbox.push_workspace(seed)

    async def bring_out(self, sandbox: Sandbox, project: Project, spec: AgentSpec) -> MirrorReport:
        """Mirror changed files, and take the agent's branch. Raises SandboxError.

        A branch that cannot be taken is refused with its reason, as a file would be.
        """
        report = await sandbox.mirror_workspace(project.sandbox_path(spec))
        if project.repository is None:
            return report
        kept = self.repository(project, spec)
        try:
            await asyncio.to_thread(kept.note_mirrored)
            await bring_branch_out(sandbox, kept)
        except (BundleRefused, GitFailed) as error:
            return replace(report, refused=(*report.refused, (f"branch {kept.branch}", error.message)))
        return report
