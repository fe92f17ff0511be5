import Glibc
import MartletTestKit
import Synchronization
import Testing

@testable import MartletReactor

@Suite("Child processes", .guardStarted, .nothingLeft, .timeLimit(.minutes(2)))
struct ChildProcessTests {
    /// Starts a script and waits until it has printed a line.
    private func start(
        _ script: String,
        on reactor: Reactor,
        usingProcessDescriptor: Bool = true,
        onExit: @escaping @Sendable (Ending) -> Void = { _ in }
    ) throws -> ChildProcess {
        let pipe = try Pipe()
        let child = try ChildProcess.spawn(
            shell(script, output: pipe.writeEnd), reactor: reactor, usingProcessDescriptor: usingProcessDescriptor,
            onExit: onExit)
        closeDescriptor(pipe.writeEnd)
        #expect(readByte(pipe.readEnd) == 1)
        closeDescriptor(pipe.readEnd)
        return child
    }

    @Test func `The end of a program is told once, and it is reaped`() async throws {
        try await withReactor { reactor in
            let endings = Counter()
            let children = try (0..<200).map { number in
                try ChildProcess.spawn(shell("exit \(number)"), reactor: reactor) { status in
                    if status == .exited(Int32(number)) { endings.add() } else { endings.add(1000) }
                }
            }
            await eventually("200 endings") { endings.count == 200 && !children.contains { $0.isAlive } }
            #expect(!ProcessTable.descendants().contains { child in children.contains { $0.pid == child.pid } })
            for child in children {
                child.ready(.readable)
                child.signal(SIGKILL)
                child.end(grace: 0)
            }
            #expect(endings.count == 200)
        }
    }

    @Test func `A program is reaped even if nobody keeps it`() async throws {
        try await withReactor { reactor in
            let ended = Flag()
            let pid = try ChildProcess.spawn(shell("exit 0"), reactor: reactor) { _ in ended.set() }.pid
            await eventually { ended.isSet && ProcessTable.entry(of: pid)?.parent != getpid() }
        }
    }

    @Test(arguments: [true, false]) func `Ending asks first`(usingProcessDescriptor: Bool) async throws {
        try await withReactor { reactor in
            let status = Mutex<Ending?>(nil)
            let child = try start(
                "trap 'exit 7' TERM; echo; while :; do sleep 0.01; done", on: reactor,
                usingProcessDescriptor: usingProcessDescriptor
            ) { ending in status.withLock { $0 = ending } }
            child.end(grace: 60_000_000_000)
            await eventually { status.withLock { $0 } == .exited(7) }
        }
    }

    @Test(arguments: [":", "kill -STOP $$"]) func `A program that will not end is killed`(how: String) async throws {
        try await withReactor { reactor in
            let status = Mutex<Ending?>(nil)
            let child = try start("trap '' TERM; echo; \(how); while :; do sleep 100; done", on: reactor) { ending in
                status.withLock { $0 = ending }
            }
            child.end(grace: 50_000_000)
            await eventually { status.withLock { $0 } == .signalled(SIGKILL) }
        }
    }

    @Test func `A shorter grace counts, a longer one does not`() async throws {
        try await withReactor { reactor in
            let ended = Flag()
            let child = try start("trap '' TERM; echo; while :; do sleep 100; done", on: reactor) { _ in ended.set() }
            child.end(grace: 3_600_000_000_000)
            child.end(grace: 10_000_000)
            child.end(grace: 3_600_000_000_000)
            await eventually { ended.isSet }
        }
    }

    @Test func `A stopped program is woken to hear that it shall end`() async throws {
        try await withReactor { reactor in
            let status = Mutex<Ending?>(nil)
            // It starts no program: a shell that is just doing so (vfork) is stopped only once that program runs, which a
            // stopped one never does.
            let child = try start("trap 'exit 5' TERM; echo; while :; do :; done", on: reactor) { ending in
                status.withLock { $0 = ending }
            }
            child.signal(SIGSTOP)
            await eventually { ProcessTable.entry(of: child.pid)?.state == "T" }
            child.end(grace: 60_000_000_000)
            await eventually { status.withLock { $0 } == .exited(5) }
        }
    }

    @Test func `What the program leaves behind in its group is known and can be ended`() async throws {
        try await withReactor { reactor in
            let ended = Flag()
            let child = try start("trap '' TERM; (echo; exec sleep 1000) & exit 0", on: reactor) { status in
                if status == .exited(0) { ended.set() }
            }
            await eventually { ended.isSet }
            #expect(child.isAlive)
            let left = ProcessTable.all().filter { $0.group == child.pid && !$0.isZombie }
            #expect(left.count == 1)
            child.end(grace: 10_000_000)
            await eventually { !left.contains { $0.isAlive } }
            await eventually { !child.isAlive }
        }
    }

    private final class Mark: Sendable {}
    private final class Weak: @unchecked Sendable {
        private(set) weak var mark: Mark?
        init(_ mark: Mark) { self.mark = mark }
    }

    @Test func `Who waits for its end is let go with it, who waits for its group with that`() async throws {
        try await withReactor { reactor in
            func begin(_ ended: Flag) throws -> (ChildProcess, Weak) {
                let mark = Mark()
                let child = try start("trap '' TERM; (echo; exec sleep 1000) & exit 0", on: reactor) { _ in
                    withExtendedLifetime(mark) { ended.set() }
                }
                return (child, Weak(mark))
            }
            let ended = Flag()
            let gone = Flag()
            let later = Flag()
            let (child, held) = try begin(ended)
            child.whenGone { gone.set() }
            await eventually { ended.isSet && held.mark == nil }
            #expect(!gone.isSet)
            child.end(grace: 10_000_000)
            await eventually { gone.isSet }
            child.whenGone { later.set() }
            #expect(later.isSet)
        }
    }

    @Test func `Who waits for its group is told when it is left to itself`() async throws {
        try await withReactor { reactor in
            let ended = Flag()
            let gone = Flag()
            let child = try start("echo; exec sleep 1000", on: reactor) { _ in ended.set() }
            child.whenGone { gone.set() }
            child.release()
            #expect(gone.isSet && !ended.isSet)
            ProcessTable.entry(of: child.pid)?.send()
            await eventually { ended.isSet }
        }
    }
}
