public import Martlet

/// What is known of a host: what its context said when it came up, and what was asked for besides.
public struct HostFacts: Sendable, Hashable, Codable {
    /// The operating system's distribution, of `/etc/os-release`.
    public struct Distribution: Sendable, Hashable, Codable {
        /// `debian`, `fedora`, `alpine`.
        public var id = ""
        /// `12`, `3.20.1`; empty for those that roll.
        public var version = ""
        /// `Debian GNU/Linux 12 (bookworm)`.
        public var name = ""
        /// What it descends from: `debian`, `rhel fedora`, split at blanks.
        public var like: [String] = []
    }

    /// What came with the connect: system, architecture, processors, memory, user.
    public var machine: Facts
    /// Which distribution it is.
    public var distribution = Distribution()
    /// Addresses of its interfaces, but for loopback and link-local ones; IPv4 first.
    public var addresses: [String] = []
    /// What its processor is called; `nil` where it is not known.
    public var processorModel: String?
    /// Memory that programs could get now, in bytes.
    public var availableMemory: UInt64?
    /// Free space for programs without privileges on the root file system, in bytes.
    public var availableDisk: UInt64?
    /// How long it has been up, in seconds.
    public var uptime: Double?
    /// The first Python there is, `/usr/bin/python3`, and its version, `3.11.2`.
    public var python: String?
    public var pythonVersion: String?
    /// When it was asked, in seconds since 1970 by this machine's clock.
    public var readAt: Double

    /// `Linux`.
    public var system: String { machine.system }
    /// `x86_64`.
    public var architecture: String { machine.architecture }
    /// The first address, if there is one.
    public var address: String? { addresses.first }
    /// Physical memory in bytes.
    public var memory: UInt64 { machine.memory }

    /// Prints a name, a tab and a value a line. It asks files and programs that any system may have, and none has to.
    static let script = """
        p() { [ -n "$2" ] && printf '%s\\t%s\\n' "$1" "$2"; }
        if [ -r /etc/os-release ]; then ( . /etc/os-release; p id "$ID"; p version "$VERSION_ID"; p name "$PRETTY_NAME"; p like "$ID_LIKE" ); fi
        if command -v ip >/dev/null 2>&1; then ip -o addr show scope global 2>/dev/null | while read -r _ _ _ a _; do p address "${a%%/*}"; done
        else for a in $(hostname -I 2>/dev/null); do p address "$a"; done; fi
        if [ -r /proc/cpuinfo ]; then while IFS=: read -r k v; do case $k in 'model name'*) p model "${v# }"; break;; esac; done </proc/cpuinfo; fi
        if [ -r /proc/meminfo ]; then while read -r k v _; do case $k in MemAvailable:) p available "$v"; break;; esac; done </proc/meminfo; fi
        if [ -r /proc/uptime ]; then read -r u _ </proc/uptime; p uptime "$u"; fi
        p disk "$(df -Pk / 2>/dev/null | while read -r _ _ _ a _; do [ "$a" = Available ] || echo "$a"; done)"
        for i in python3 python python2 /usr/libexec/platform-python; do
        if q=$(command -v $i 2>/dev/null); then p python "$q"; p pythonVersion "$("$q" -c 'import sys;print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)"; break; fi; done
        exit 0
        """

    /// - Parameter text: what the script has printed. What is not known in it is passed over.
    init(_ machine: Facts, _ text: String, readAt: Double) {
        (self.machine, self.readAt) = (machine, readAt)
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: "\t", maxSplits: 1)
            guard parts.count == 2 else { continue }
            let value = String(parts[1])
            switch parts[0] {
            case "id": distribution.id = value
            case "version": distribution.version = value
            case "name": distribution.name = value
            case "like": distribution.like = value.split(separator: " ").map(String.init)
            case "address": if addresses.count < 1_000, !addresses.contains(value) { addresses.append(value) }
            case "model": processorModel = value
            case "available": availableMemory = UInt64(value).map { $0 << 10 }
            case "disk": availableDisk = UInt64(value).map { $0 << 10 }
            case "uptime": uptime = Double(value)
            case "python": python = value
            case "pythonVersion": pythonVersion = value
            default: continue
            }
        }
        addresses = addresses.filter { !$0.contains(":") } + addresses.filter { $0.contains(":") }
    }
}
