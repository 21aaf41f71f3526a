"""A real mail server for tests: Dovecot (IMAP, LMTP) and a submission server, on loopback, gone afterwards.

Needs the packages dovecot-imapd and dovecot-lmtpd, and root, because Dovecot gives its rights up by itself.
"""

import os
import pwd
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from postrider.kernel.secret import Secret
from postrider.mailboxes.ports import MailAccount, Provider, Security, ServerAccess
from tests.mailstack.certificate import write_certificate

ACCOUNTS = 500
ODD_ADDRESS, ODD_PASSWORD = "odd@mailstack.test", 'sch\u00f6n "und" \\schwer'
_START_SECONDS = 20.0
_STOP_SECONDS = 10.0
_PORT_TRIES = 5
_LONGEST_SOCKET_PATH = 100
_MAIL_USER = "nobody"
_NEITHER_DOVECOT_NOR_ROOT = "needs dovecot-imapd and dovecot-lmtpd, and root"

_CONFIG = """\
# Written by tests/mailstack/stack.py for one run.
instance_name = {name}
base_dir = {root}/run
state_dir = {root}/state
log_path = {root}/dovecot.log
auth_verbose = yes
listen = 127.0.0.1
protocols = imap lmtp
default_vsz_limit = 256M

ssl = yes
ssl_cert = <{root}/cert.pem
ssl_key = <{root}/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0

passdb {{
  driver = passwd-file
  args = username_format=%u {root}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={root}/mail/%u allow_all_users=yes
}}
first_valid_uid = 1
mail_location = maildir:{root}/mail/%u
mail_save_crlf = yes
mail_fsync = never
mail_max_userip_connections = 500
# Any local part is a mailbox of its own, with "+" and odd characters too.
auth_username_chars =
recipient_delimiter =

namespace inbox {{
  inbox = yes
  separator = /
  mailbox Sent {{
    auto = create
    special_use = \\Sent
  }}
  mailbox Junk {{
    auto = create
    special_use = \\Junk
  }}
}}

service imap-login {{
  service_count = 0
  process_min_avail = 1
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = {imaps_port}
    ssl = yes
  }}
}}
service lmtp {{
  unix_listener {root}/lmtp {{
    mode = 0666
  }}
}}
# Without this, a test with a wrong password would make the sign-ins of later tests wait.
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
protocol lmtp {{
  postmaster_address = postmaster@mailstack.test
}}
"""


class MailStack:
    """Runs between ``with`` and its end. ``root``: a short path of its own; None makes one and removes it.

    ``base_port`` 0 takes free ports; else base + 0..3 are imap, imaps, smtp (STARTTLS) and smtps.
    Accounts are user1..user500@mailstack.test with passwords pw1..pw500; any other address can receive, too.
    """

    def __init__(self, root: Path | None = None, base_port: int = 0) -> None:
        self._given_root = root
        self._base_port = base_port
        self._running = ExitStack()
        self._accounts_given = 0
        self.root = Path()
        self.imap_port = self.imaps_port = self.smtp_port = self.smtps_port = 0

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            self.root = starting.enter_context(_folder(self._given_root))
            if len(str(self.root / "run" / "auth-userdb-and-more")) > _LONGEST_SOCKET_PATH:
                raise ValueError(f"{self.root} is too long for the unix sockets below it")
            self._write_files()
            starting.enter_context(self._dovecot())
            starting.enter_context(self._submission())
            self._running = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def account(
        self,
        number: int,
        *,
        imap_security: Security = "tls",
        smtp_security: Security = "starttls",
        provider: Provider = "custom",
    ) -> MailAccount:
        """One of the accounts 1..500 with everything it takes to sign in."""
        address, password = self.address(number), Secret(f"pw{number}")
        imap_port = self.imaps_port if imap_security == "tls" else self.imap_port
        smtp_port = self.smtps_port if smtp_security == "tls" else self.smtp_port
        return MailAccount(
            workspace_id="ws_test",
            mailbox_id=f"mbx_{number}",
            email=address,
            provider=provider,
            smtp=ServerAccess("127.0.0.1", smtp_port, smtp_security, address, password),
            imap=ServerAccess("127.0.0.1", imap_port, imap_security, address, password),
        )

    def new_account(
        self,
        *,
        imap_security: Security = "tls",
        smtp_security: Security = "starttls",
        provider: Provider = "custom",
    ) -> MailAccount:
        """An account that nobody had from this method before, counted down from the last one."""
        number = ACCOUNTS - self._accounts_given
        self._accounts_given += 1
        return self.account(number, imap_security=imap_security, smtp_security=smtp_security, provider=provider)

    @staticmethod
    def address(number: int) -> str:
        """The address of an account."""
        return f"user{number}@mailstack.test"

    def ssl_context(self) -> ssl.SSLContext:
        """A client's context that trusts this stack's certificate and nothing else."""
        return ssl.create_default_context(cafile=str(self.root / "cert.pem"))

    def deliver(self, address: str, raw: bytes, *, sender: str = "someone@elsewhere.invalid") -> None:
        """Hands a message to Dovecot as an incoming server would; it is in INBOX afterwards. "" is the null sender."""
        with smtplib.LMTP(str(self.root / "lmtp")) as dovecot:
            dovecot.sendmail(sender, [address], raw)

    def deliver_to_junk(self, address: str, raw: bytes) -> None:
        """As ``deliver``, but a spam filter put it into Junk."""
        before = set(self._files(address, "INBOX"))
        self.deliver(address, raw)
        for file in set(self._files(address, "INBOX")) - before:
            self._move(file, address, "Junk")

    def move_to_junk(self, address: str) -> None:
        """Moves everything in INBOX to Junk, as the mailbox's owner might."""
        for file in self._files(address, "INBOX"):
            self._move(file, address, "Junk")

    def copy_to_junk(self, address: str) -> None:
        """Puts a second copy of everything in INBOX into Junk."""
        for file in self._files(address, "INBOX"):
            twin = file.with_name(f"{_stem(file)}twin")
            shutil.copy2(file, twin)
            os.chown(twin, *_mail_user())
            self._move(twin, address, "Junk")

    def messages(self, address: str, folder: str = "INBOX") -> list[bytes]:
        """The messages of a folder as they lie on disk, in the order in which they came."""
        return [file.read_bytes() for file in self._files(address, folder)]

    def flags(self, address: str, folder: str = "INBOX") -> list[str]:
        """The maildir flags of the messages of a folder, in the same order: "S" is seen, "T" deleted."""
        return [file.name.partition(":2,")[2] for file in self._files(address, folder)]

    def bump_uidvalidity(self, address: str, folder: str = "INBOX") -> None:
        """Renumbers a folder: same messages, new UID validity."""
        status = self._doveadm("-f", "flow", "mailbox", "status", "-u", address, "uidvalidity", folder)
        before = int(status.rpartition("=")[2])
        self._doveadm("mailbox", "update", "-u", address, "--uid-validity", str(before + 1), folder)

    def _write_files(self) -> None:
        for name in ("run", "state", "mail"):
            (self.root / name).mkdir(exist_ok=True)
        os.chown(self.root / "mail", *_mail_user())
        write_certificate(self.root / "cert.pem", self.root / "key.pem")
        users = [f"{self.address(number)}:{{PLAIN}}pw{number}\n" for number in range(1, ACCOUNTS + 1)]
        users.append(f"{ODD_ADDRESS}:{{PLAIN}}{ODD_PASSWORD}\n")
        (self.root / "users").write_text("".join(users), "utf-8")

    @contextmanager
    def _dovecot(self) -> Iterator[None]:
        """Runs Dovecot; when somebody else took a port meanwhile, tries again with others."""
        for tries_left in reversed(range(1 if self._base_port else _PORT_TRIES)):
            self.imap_port, self.imaps_port = (
                (self._base_port, self._base_port + 1) if self._base_port else _free_ports(2)
            )
            process = self._start_dovecot()
            try:
                if self._greets(process):
                    yield
                    return
            finally:
                _end(process)
            if not tries_left:
                raise RuntimeError(f"Dovecot does not start ({_NEITHER_DOVECOT_NOR_ROOT}): {self._log()}")

    def _start_dovecot(self) -> subprocess.Popen[bytes]:
        uid, gid = _mail_user()
        config = _CONFIG.format(
            root=self.root,
            name=self.root.name,
            uid=uid,
            gid=gid,
            imap_port=self.imap_port,
            imaps_port=self.imaps_port,
        )
        (self.root / "dovecot.conf").write_text(config, "utf-8")
        program = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            raise RuntimeError(f"Dovecot is not installed: the mail stack {_NEITHER_DOVECOT_NOR_ROOT}")
        output = (self.root / "dovecot.out").open("wb")
        with output:
            return subprocess.Popen(
                [program, "-F", "-c", str(self.root / "dovecot.conf")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def _greets(self, dovecot: subprocess.Popen[bytes]) -> bool:
        """Whether Dovecot came up, as opposed to ended."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and dovecot.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.imap_port), 1) as client:
                client.settimeout(_START_SECONDS)
                return client.recv(4) == b"* OK"
            time.sleep(0.01)
        return False

    @contextmanager
    def _submission(self) -> Iterator[None]:
        ports = [str(self._base_port + 2), str(self._base_port + 3)] if self._base_port else ["0", "0"]
        program = Path(__file__).with_name("submission.py")
        process = subprocess.Popen(
            [sys.executable, str(program), str(self.root), *ports], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            with process.stdout as output:
                listening = output.readline().split()
            if len(listening) != 2:
                raise RuntimeError("The submission server does not start; its standard error says why.")
            self.smtp_port, self.smtps_port = map(int, listening)
            yield
        finally:
            _end(process)

    def _log(self) -> str:
        files = (self.root / "dovecot.out", self.root / "dovecot.log")
        return " ".join(file.read_text("utf-8", "replace")[-1000:] for file in files if file.exists())

    def _doveadm(self, *arguments: str) -> str:
        command = ["doveadm", "-c", str(self.root / "dovecot.conf"), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=_START_SECONDS).stdout

    def _folder(self, address: str, folder: str) -> Path:
        home = self.root / "mail" / address
        return home if folder == "INBOX" else home / f".{folder.replace('/', '.')}"

    def _files(self, address: str, folder: str) -> list[Path]:
        place = self._folder(address, folder)
        return sorted((file for part in ("new", "cur") for file in place.glob(f"{part}/*")), key=_arrival)

    def _move(self, file: Path, address: str, folder: str) -> None:
        place = self._folder(address, folder)
        for part in (place, place / "cur", place / "new", place / "tmp"):
            if not part.exists():
                part.mkdir()
                os.chown(part, *_mail_user())
        # Dovecot numbers a file anew when it turns up in another folder's "new".
        file.rename(place / "new" / _stem(file))


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """A folder that Dovecot's helpers, who run as other users, can pass through."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        given.chmod(0o755)
        yield given
        return
    made = Path(tempfile.mkdtemp(prefix="pr-", dir="/tmp"))
    made.chmod(0o755)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _mail_user() -> tuple[int, int]:
    user = pwd.getpwnam(_MAIL_USER)
    return user.pw_uid, user.pw_gid


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that we started, and waits for it."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _stem(file: Path) -> str:
    return file.name.partition(":2,")[0]


def _arrival(file: Path) -> tuple[int, int, str]:
    """Seconds and microseconds from a maildir file name, which writes the latter without leading zeros."""
    found = re.match(r"(\d+)\.M(\d+)", file.name)
    return (int(found[1]), int(found[2]), file.name) if found else (0, 0, file.name)
