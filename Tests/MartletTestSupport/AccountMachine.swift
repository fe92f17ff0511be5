package import Martlet
package import MartletTestKit
import Synchronization

/// A machine with accounts of all sorts. Each one's password is `pw NAME`.
///
/// - `joe`: sudo and doas, with his password.
/// - `nop`: both without.
/// - `rtt`: sudo from a terminal alone, with password.
/// - `ann`: none.
/// - `lec`: sudo with a lecture, and in another language's words.
///
/// - Parameter image: what its contexts are. Default: this program.
package func withAccountMachine(
    _ image: String? = nil, _ body: @Sendable (Controller, Context, ThrowawayMachine) async throws -> Void
) async throws {
    var configuration = ThrowawayMachine.Configuration()
    configuration.setup = """
        useradd() { command useradd -m -s /bin/bash "$1"; echo "$1:pw $1" | chpasswd -c SHA256 -s 1000; }
        for name in joe nop rtt ann lec; do useradd $name; done >/dev/null 2>&1
        echo 'root:pw root' | chpasswd -c SHA256 -s 1000
        # Nobody waits for a wrong password.
        for file in /etc/pam.d/*; do sed -i 's/pam_unix.so/pam_unix.so nodelay/' "$file"; done
        sed -i 's/^FAIL_DELAY.*/FAIL_DELAY 0/' /etc/login.defs
        cat >/etc/sudoers <<'END'
        Defaults env_reset, !syslog, secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        Defaults lecture=never, timestamp_timeout=0
        Defaults:lec lecture=always
        Defaults:rtt requiretty
        root ALL=(ALL:ALL) ALL
        joe,rtt,lec ALL=(ALL:ALL) ALL
        nop ALL=(ALL:ALL) NOPASSWD: ALL
        END
        sed -i 's/^ *//' /etc/sudoers
        rm -rf /etc/sudoers.d/*
        chmod 440 /etc/sudoers
        printf 'permit joe\\npermit nopass nop\\n' >/etc/doas.conf
        chmod 600 /etc/doas.conf
        mkdir -p /etc/ssh/test /run/sshd
        ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/test/host
        ssh-keygen -q -t ed25519 -N 'pass joe' -f /root/locked
        mkdir -p /home/joe/.ssh /root/.ssh
        cp /root/locked.pub /home/joe/.ssh/authorized_keys
        chown -R joe: /home/joe/.ssh
        for port in 23:no 24:yes; do
            printf '%s\\n' "Port ${port%:*}" 'ListenAddress 127.0.0.1' 'ListenAddress 127.0.0.2' 'HostKey /etc/ssh/test/host' "UsePAM ${port#*:}" \\
                'PasswordAuthentication yes' 'KbdInteractiveAuthentication yes' 'PidFile none' >/etc/ssh/test/${port%:*}
            /usr/sbin/sshd -f /etc/ssh/test/${port%:*}
        done
        printf '%s\\n' 'Host known' "HostName 127.0.0.1" 'Port 23' 'StrictHostKeyChecking accept-new' '' 'Host pam' \\
            'HostName 127.0.0.1' 'Port 24' 'StrictHostKeyChecking accept-new' '' 'Host unknown' 'HostName 127.0.0.1' \\
            'Port 23' 'UserKnownHostsFile /root/.ssh/known2' 'StrictHostKeyChecking ask' '' 'Host bastion' \\
            'HostName 127.0.0.2' 'Port 23' 'StrictHostKeyChecking accept-new' >/root/.ssh/config
        """
    try await withThrowawayMachine(configuration) { machine in
        var options = MartletOptions()
        if let image { options.images = .executables([image]) }
        try await withMartlet(options) { martlet in
            let context = try await martlet.connect(.command(machine.commandPrefix + ["/bin/sh", "-c"]))
            try await body(martlet, context, machine)
        }
    }
}

package func withAccountMachine(_ body: @Sendable (Context, ThrowawayMachine) async throws -> Void) async throws {
    try await withAccountMachine { _, context, machine in try await body(context, machine) }
}

/// Collects what is asked, and answers.
package final class RecordingResponder: PromptResponder {
    private let log = Mutex<[Prompt]>([])
    private let body: @Sendable (Prompt) -> Secret?

    package init(_ body: @escaping @Sendable (Prompt) -> Secret?) { self.body = body }

    package var prompts: [Prompt] { log.withLock { $0 } }

    package func answer(_ prompt: Prompt) async throws -> Secret? {
        log.withLock { $0.append(prompt) }
        return body(prompt)
    }
}
