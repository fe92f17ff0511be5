import Glibc
import Synchronization

/// A process that the kit started for itself, in a session of its own, with no descriptor but the three given.
///
/// Not built on Foundation's `Process`, whose threads and descriptors would show up as leaks.
final class HelperProcess: Sendable {
    enum Ending: Sendable, Hashable {
        case exited(Int32)
        case signalled(Int32)
    }

    let pid: Int32
    private let ending = Mutex<Ending?>(nil)

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - command: The program (looked up in PATH) and its arguments.
    ///   - environment: Added to this process's own environment.
    ///   - input: Becomes descriptor 0; `/dev/null` if nil. The caller keeps its own copy.
    ///   - output: Becomes descriptor 1; `/dev/null` if nil.
    ///   - errors: Becomes descriptor 2; `/dev/null` if nil.
    /// - Throws: ``TestKitError`` with code `unavailable` if there is no such program, else `failed`.
    init(
        _ command: [String],
        environment: [String: String] = [:],
        input: Int32? = nil,
        output: Int32? = nil,
        errors: Int32? = nil
    ) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (target, source) in [input, output, errors].enumerated() {
            if let source {
                posix_spawn_file_actions_adddup2(&actions, source, Int32(target))
            } else {
                posix_spawn_file_actions_addopen(&actions, Int32(target), "/dev/null", O_RDWR, 0)
            }
        }
        _ = closeFrom(&actions, 3)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(
            &attributes,
            newSession | Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF)
        )

        var pid: pid_t = 0
        let code = withCStrings(command) { arguments in
            withCStrings(Self.environment(adding: environment)) { variables in
                posix_spawnp(&pid, command[0], &actions, &attributes, arguments, variables)
            }
        }
        guard code == 0 else {
            let missing = code == ENOENT
            throw TestKitError(
                code: missing ? .unavailable : .failed,
                message: missing
                    ? "\(command[0]) is not installed" : "\(command[0]): \(String(cString: strerror(code)))"
            )
        }
        self.pid = pid
    }

    /// How it ended, or nil while it runs. Reaps it.
    func poll() -> Ending? {
        ending.withLock { ending in
            if ending != nil { return ending }
            var status: Int32 = 0
            guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
            let signal = status & 0x7f
            ending = signal == 0 ? .exited((status >> 8) & 0xff) : .signalled(signal)
            return ending
        }
    }

    /// Sends a signal to its process group, unless it has been reaped and its number may be another's.
    func signalGroup(_ number: Int32) {
        ending.withLock { if $0 == nil { _ = kill(-pid, number) } }
    }

    /// Kills its process group and reaps it.
    func end() async {
        signalGroup(SIGKILL)
        await uncancelled { _ = await MartletTestKit.poll(within: .seconds(10)) { self.poll() != nil } }
    }

    private static func environment(adding added: [String: String]) -> [String] {
        var variables: [String] = []
        var next = environ
        while let entry = next.pointee {
            let variable = String(cString: entry)
            let name = variable.prefix { $0 != "=" }
            if added[String(name)] == nil { variables.append(variable) }
            next += 1
        }
        return variables + added.map { "\($0.key)=\($0.value)" }
    }
}

/// POSIX_SPAWN_SETSID, and a function of glibc 2.34 and later, that Swift's Glibc module does not show. The function takes
/// a pointer and an int, which Swift passes as C does.
private let newSession: Int16 = 0x80
@_silgen_name("posix_spawn_file_actions_addclosefrom_np")
private func closeFrom(_ actions: UnsafeMutablePointer<posix_spawn_file_actions_t>, _ lowest: Int32) -> Int32

/// Lends an array of C strings with the nil at its end that `exec` wants.
private func withCStrings<Result>(
    _ strings: [String],
    _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    var pointers = strings.map { strdup($0) } + [nil]
    defer { pointers.forEach { free($0) } }
    return pointers.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
}
