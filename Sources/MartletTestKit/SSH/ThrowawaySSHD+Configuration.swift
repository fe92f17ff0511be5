extension ThrowawaySSHD {
    /// What a throw-away sshd is like.
    public struct Configuration: Sendable {
        /// Where far programs find their home.
        public enum Home: Sendable, Hashable {
            /// A new, empty directory that is removed with the server. Nothing touches the real home, and every cache is cold.
            case fresh
            /// The user's real home.
            case own
            /// This path, whether it exists or not.
            case path(String)
        }

        /// Lines of `sshd_config`. They win over the kit's own. For variables use ``environment``, because sshd reads the
        /// first `SetEnv` only. Default none.
        public var serverLines: [String] = []

        /// Lines of the client's configuration, for all host aliases. They win over the kit's own. Default none.
        public var clientLines: [String] = []

        /// Where `$HOME` points at the far side. Default a fresh directory.
        public var home: Home = .fresh

        /// Files to write into a fresh home, by relative path: a `.bashrc` that prints, for one. Default none.
        public var homeFiles: [String: String] = [:]

        /// The login shell's path, or nil for the user's own. Only root can have another one: the server then sees an
        /// `/etc/passwd` of its own. Default nil.
        public var loginShell: String?

        /// Variables of every far program. Default `SHLVL=1`, with which bash skips `~/.bashrc`, as it would for a person.
        public var environment: [String: String] = ["SHLVL": "1"]

        /// How many sessions one connection may have. Default 1,000; OpenSSH's own is 10.
        public var maxSessions = 1000

        /// sshd's `MaxStartups`. Default `1000:30:2000`; OpenSSH's own is `10:30:100`.
        public var maxStartups = "1000:30:2000"

        /// Whether the client avoids OpenSSH's post-quantum key exchange, which costs each side tens of milliseconds of
        /// processor time per connect. Default true.
        public var usesCheapKeyExchange = true

        /// Whether the variants ``Variant/hostCertificate`` and ``Variant/userCertificate`` work. Default false.
        public var makesCertificates = false

        /// A passphrase, with which the variant ``Variant/lockedKey`` works. Default nil.
        public var passphrase: String?

        /// How long far programs may outlive the body of the scope. The scope then throws, naming them; nil lets them be.
        /// They are killed in any case. Default 5 s.
        public var programsMayOutlive: Duration? = .seconds(5)

        /// The defaults.
        public init() {}
    }

    /// Another way to the same server, good or bad, under a host alias of its own.
    public enum Variant: String, Sendable, CaseIterable {
        /// Without a listener: the client starts `sshd -i` on a pipe. Three times as fast to connect.
        case pipe
        /// The client knows no key for the host.
        case unknownHostKey = "unknown"
        /// The client knows another key for the host.
        case changedHostKey = "changed"
        /// The client offers a key that the server does not accept.
        case refusedKey = "refused"
        /// The client connects to a port where nobody listens.
        case closedPort = "closed"
        /// The client knows the authority that signed the host's key. Needs ``Configuration/makesCertificates``.
        case hostCertificate = "hostcert"
        /// The client offers a key that an authority signed. Needs ``Configuration/makesCertificates``.
        case userCertificate = "usercert"
        /// The client's key has a passphrase. Needs ``Configuration/passphrase``.
        case lockedKey = "locked"
        /// The client's key is in an agent. Needs ``ThrowawaySSHD/withAgent(isolation:_:)``.
        case agent
    }
}
