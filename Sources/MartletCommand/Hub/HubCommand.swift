import ArgumentParser
import Martlet
import MartletFleet
import MartletReactor
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What `martlet up` starts.
struct HubCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hub", abstract: "Keep contexts: what 'martlet up' starts.", shouldDisplay: false)

    @Option var idle: Double
    @Option var agent: String?
    /// Where it is told, once, that the hub is there, or why not.
    @Option var ready: Int32

    func run() async throws {
        let command = self
        try await Session.run(colour: .never) { try await command.run($0) }
    }

    private func run(_ session: Session) async throws -> Int32 {
        var options = MartletOptions()
        options.onOutput = { _ in }
        let places: [HubPlace]
        do { (options.images, places) = (try AgentImage.find(agent).images, try HubFinder.wanted()) } catch {
            tell("\(error)")
            return ExitStatus.failed
        }
        // Wherever it was started, no mount is kept busy.
        SystemCalls.changeDirectory("/")
        return try await withMartlet(options) { controller in
            let ending = Interruption()
            let limit = max(4, min(500, (SystemCalls.descriptorLimit - 64) / 10))
            let pool = HubPool(controller, limit: limit) { ending.fire(.signal(SIGTERM)) }
            let door: GuestDoor
            do {
                door = try GuestDoor(places, provided: pool) { pool.guests($0) }
            } catch {
                tell((error as? MartletError)?.withoutRoute ?? "\(error)")
                return ExitStatus.failed
            }
            tell("ready")
            await untilDone(pool, ending, session)
            // Whoever asked for the end hears that it is coming.
            await untilAlone(pool)
            door.close()
            return ExitStatus.success
        }
    }

    private func tell(_ text: String) {
        writeAll(Array(text.utf8), to: ready)
        close(ready)
    }

    private func untilDone(_ pool: HubPool, _ ending: Interruption, _ session: Session) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await ending.wait() }
            group.addTask { await session.interruption.wait() }
            group.addTask { [idle] in
                while !Task.isCancelled {
                    let limit = Duration.seconds(idle)
                    let end = (pool.idleSince ?? .now) + limit
                    if end <= .now { return }
                    await Pause.wait(end - ContinuousClock.now)
                }
            }
            await group.next()
            group.cancelAll()
        }
    }

    private func untilAlone(_ pool: HubPool) async {
        let deadline = ContinuousClock.now + .seconds(1)
        while pool.idleSince == nil, ContinuousClock.now < deadline { await Pause.wait(.milliseconds(5)) }
    }
}

/// Starts a hub that lives on without us.
enum HubLaunch {
    /// How long it may take to be there.
    private static let limit: Int32 = 10_000

    /// - Throws: ``CommandFailure`` with what it said. The way it was called is not the reason.
    static func start(idle: Double, agent: String?) throws {
        guard let program = SystemCalls.ownExecutable else { throw failure("cannot find this program's file") }
        let pipe: Pipe
        do { pipe = try Pipe() } catch { throw failure("cannot make a pipe: \(error)") }
        let ends = (pipe.readEnd, pipe.writeEnd)
        defer { close(ends.0) }
        let error = spawn(
            program,
            ["martlet", "hub", "--ready", "3", "--idle", "\(idle)"]
                + (agent.map { ["--agent", SystemCalls.absolute($0)] } ?? []), ends.1)
        close(ends.1)
        guard error == 0 else { throw failure("cannot start the hub: \(SystemCalls.errorText(error))") }
        var answer: [UInt8] = []
        var wait = pollfd(fd: ends.0, events: Int16(POLLIN), revents: 0)
        while answer.count < 4096 {
            guard poll(&wait, 1, limit) > 0 else { throw failure("the hub does not say that it is there") }
            var buffer = [UInt8](repeating: 0, count: 512)
            let count = buffer.withUnsafeMutableBytes { read(ends.0, $0.baseAddress!, $0.count) }
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            answer += buffer[..<count]
        }
        let text = String(decoding: answer, as: UTF8.self)
        guard text == "ready" else {
            throw failure(text.isEmpty ? "the hub ended as it began" : HarmlessText.of(text, keepsLines: true))
        }
    }

    private static func failure(_ text: String) -> CommandFailure {
        CommandFailure(text, exitStatus: ExitStatus.failed)
    }

    /// In a session of its own, with nothing of ours but the pipe, as descriptor 3. Signals are not blocked as on our threads.
    private static func spawn(_ program: String, _ arguments: [String], _ ready: Int32) -> Int32 {
        // GNU's and musl's POSIX_SPAWN_SETSID, of which Swift sees nothing.
        let setsid: Int16 = 0x80
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        for descriptor: Int32 in 0...2 {
            posix_spawn_file_actions_addopen(
                &actions, descriptor, "/dev/null", descriptor == 0 ? O_RDONLY : O_WRONLY, 0)
        }
        posix_spawn_file_actions_adddup2(&actions, ready, 3)
        var (none, all) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(
            &attributes, setsid | Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF))
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var process = pid_t()
        return posix_spawn(&process, program, &actions, &attributes, &words, environ)
    }
}

extension MartletError {
    /// All that it says but where, which is here.
    fileprivate var withoutRoute: String {
        let lines = [message] + (detail?.split(separator: "\n").map { "    \($0)" } ?? [])
        return (lines + (advice.map { ["  try: \($0)"] } ?? [])).joined(separator: "\n")
    }
}
