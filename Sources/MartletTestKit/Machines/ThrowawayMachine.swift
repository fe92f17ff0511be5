import Foundation

/// A machine for one scope: mounts, processes, network, host name and users of its own, made of namespaces. Root only.
///
/// What runs there sees a copy of this machine or a root with busybox alone, and can do what it likes to it: nothing is
/// seen outside, and everything is gone when the scope ends. Ready in about 50 ms.
public struct ThrowawayMachine: Sendable {
    /// What a machine is like.
    public struct Configuration: Sendable {
        /// What its file system holds.
        public enum Root: String, Sendable {
            /// A copy-on-write view of this machine's root file system. What is mounted below it is not there, nor are
            /// the images that root's home has cached.
            case host
            /// Busybox (needs `busybox-static`) and nothing else.
            case busybox
        }

        /// How a machine may be odd.
        public enum Trait: String, Sendable, CaseIterable {
            /// No file can be executed in `/tmp`, `/run` and `/dev/shm`.
            case noexec
            /// Only `/tmp`, `/run` and `/dev/shm` can be written.
            case readOnlyRoot = "read-only-root"
            /// Nothing can be written.
            case readOnly = "read-only"
            /// Executables in memory are forbidden (`vm.memfd_noexec` is 2; Linux 6.3 or later).
            case noMemoryFiles = "no-memory-files"
            /// `/proc` is not mounted.
            case noProc = "no-proc"
        }

        /// What its file system holds. Default a view of this machine's.
        public var root: Root = .host
        /// How it is odd. Default not at all.
        public var traits: Set<Trait> = []
        /// How many kilobytes are free on each of its file systems. Default nil: as much as memory allows.
        public var freeKilobytes: Int?
        /// Shell commands that it runs as root before it is ready: to make users, for one. Default none.
        public var setup = ""
        /// Its host name. Default `throwaway`.
        public var name = "throwaway"

        /// The defaults.
        public init() {}
    }

    let directory: TemporaryDirectory
    let keeper: HelperProcess

    /// The number of its first process, seen from outside.
    public let pid: Int32

    /// The beginning of a command line that runs the rest of it as root in the machine, as `ssh host` would elsewhere:
    /// with a clean environment, in `/`.
    public var commandPrefix: [String] {
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        let enter = ["nsenter", "-t", "\(pid)", "-m", "-u", "-i", "-n", "-p", "--"]
        return ["env", "-i", "HOME=/root", "SHELL=/bin/sh", path, directory.marker] + enter
    }

    /// Runs a shell command in the machine, to its end.
    ///
    /// - Parameters:
    ///   - command: What `/bin/sh -c` runs.
    ///   - input: What it reads. Default nothing.
    /// - Throws: As ``runProgram(_:input:environment:within:)``.
    public func run(_ command: String, input: String = "") async throws -> ProgramResult {
        try await runProgram(commandPrefix + ["/bin/sh", "-c", command], input: input)
    }

    /// The processes in the machine, without its first one.
    public func programs() -> [ProcessTable.Entry] {
        let space = ProcFile.link("/proc/\(pid)/ns/pid")
        let all = ProcessTable.all().filter { ProcFile.link("/proc/\($0.pid)/ns/pid") == space && $0.pid != pid }
        // The first process pauses by a child.
        return all.filter { !($0.parent == pid && $0.name == "sleep") }
    }

    /// Ends it at once, as a power cut does. Peers see their connections reset.
    public func crash() async { await keeper.end() }

    /// Why no machine can be made here, or nil if one can: for `.enabled(if:)`.
    public static func obstacle() async -> String? {
        guard getuid() == 0 else { return "only root can make a machine of namespaces" }
        do {
            let flags = ["--mount", "--uts", "--ipc", "--pid", "--net", "--fork"]
            try await runTool(["unshare"] + flags + ["--", "mount", "-t", "tmpfs", "none", "/mnt"])
            return nil
        } catch {
            return "no machine of namespaces: \(error)"
        }
    }

    /// - Parameter visible: A directory outside that it has too, under the same path.
    init(_ configuration: Configuration, in directory: TemporaryDirectory, keeping visible: String? = nil) async throws
    {
        guard getuid() == 0 else {
            throw TestKitError(code: .unavailable, message: "only root can make a machine of namespaces")
        }
        self.directory = directory
        let log = open("\(directory.path)/machine.log", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(log) }
        let namespaces = ["--mount", "--uts", "--ipc", "--pid", "--net", "--fork", "--kill-child"]
        let traits = configuration.traits.map(\.rawValue).sorted(by: >).joined(separator: " ")
        let arguments = [
            configuration.name, configuration.root.rawValue, directory.path, visible ?? "",
            configuration.freeKilobytes.map(String.init) ?? "", traits, configuration.setup,
        ]
        let keeper = try HelperProcess(
            ["unshare"] + namespaces + ["--propagation", "private", "--", "sh", "-c", Self.script, "machine"]
                + arguments,
            output: log, errors: log
        )
        self.keeper = keeper
        let said = { ProcFile.text("\(directory.path)/machine.log") ?? "" }
        do {
            try await require("the start of a machine", within: .seconds(60)) {
                keeper.poll() != nil || said().hasSuffix("ready\n")
            }
            guard keeper.poll() == nil, let first = ProcessTable.descendants(of: keeper.pid).first else {
                throw TestKitError(code: .failed, message: "a machine did not start: \(said())")
            }
            pid = first.pid
        } catch {
            await keeper.end()
            throw error
        }
    }
}

/// Makes a machine of namespaces, runs `body`, and ends the machine with everything in it. Root only.
///
/// - Parameters:
///   - configuration: What the machine is like.
///   - body: What to do with it.
/// - Throws: What `body` throws; ``TestKitError`` with code `unavailable` unless this is root, `failed` with what the
///   machine printed if it does not start.
public func withThrowawayMachine<Result>(
    _ configuration: ThrowawayMachine.Configuration = .init(),
    isolation: isolated (any Actor)? = #isolation,
    _ body: (ThrowawayMachine) async throws -> Result
) async throws -> Result {
    let directory = try TemporaryDirectory()
    var machine: ThrowawayMachine?
    do {
        let started = try await ThrowawayMachine(configuration, in: directory)
        machine = started
        let result = try await body(started)
        await started.keeper.end()
        await directory.remove()
        return result
    } catch {
        await machine?.keeper.end()
        await directory.remove()
        throw error
    }
}
