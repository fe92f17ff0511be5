import CMartlet
import Foundation
import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

/// Starts a daemon by Foundation's own means, and others whose status it takes itself.
struct StartDaemon: RemoteTask {
    var marker: String
    var children: Int
    func run(in context: RemoteContext) async throws -> [Int32] {
        // Not by Foundation: its `Process` waits until nobody holds a descriptor that the daemon inherits.
        let shell = spawnShell(OrphanTests.daemon(marker), newSession: false)
        var status: Int32 = 0
        guard waitpid(shell, &status, 0) == shell else { return [] }
        return try await withThrowingTaskGroup(of: Int32.self) { group in
            for number in 0..<children {
                group.addTask {
                    let child = Process()
                    child.executableURL = URL(fileURLWithPath: "/bin/sh")
                    child.arguments = ["-c", "sleep 0.\(number % 4); exit \(number)"]
                    try child.run()
                    child.waitUntilExit()
                    return child.terminationStatus
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }
}

/// Starts a child in a session of its own, and takes its status long after it has ended.
struct TakeStatusLate: RemoteTask {
    var release: String
    func run(in context: RemoteContext) async throws -> Int32 {
        let pid = spawnShell("exit 7", newSession: true)
        Signpost.block(until: release)
        var status: Int32 = 0
        return waitpid(pid, &status, 0) == pid ? (status >> 8) & 0xff : -1
    }
}

/// Whether the guard will end these.
struct AskGuard: RemoteTask {
    var processes: [Int32]
    func run(in context: RemoteContext) async throws -> Bool { processes.allSatisfy(martlet_guard_has_process) }
}

/// A child of this process's own.
private func spawnShell(_ line: String, newSession: Bool) -> pid_t {
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // POSIX_SPAWN_SETSID, which the module does not have.
    if newSession { posix_spawnattr_setflags(&attributes, 0x80) }
    var pid: pid_t = 0
    var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("/bin/sh"), strdup("-c"), strdup(line), nil]
    defer { for each in arguments { free(each) } }
    let error = posix_spawn(&pid, "/bin/sh", nil, &attributes, &arguments, environ)
    return error == 0 ? pid : -1
}

@Suite(.leakChecked) struct OrphanTests {
    /// Leaves a process behind in a session of its own whose parents are gone, which does not listen to requests to end.
    static func daemon(_ marker: String) -> String {
        "setsid sh -c '(trap \"\" TERM HUP; echo $$; sleep \(marker)) >/dev/null 2>&1 & exit 0' </dev/null >/dev/null 2>&1"
    }

    private func sleepers(_ marker: String) -> [ProcessTable.Entry] {
        ProcessTable.carrying(marker).filter { $0.name == "sleep" }
    }

    @Test func `A daemon lives as long as its context, and is reaped when it ends before`() async throws {
        try await withLocalContext { _, context in
            let marker = makeMarker()
            let result = try await context.run(Self.daemon(marker) + "; echo started")
            #expect(result.lines == ["started"])
            await eventually { sleepers(marker).count == 1 }
            let daemon = try #require(sleepers(marker).first)
            try await context.run("true")
            #expect(daemon.isAlive)
            // It has come to the context; what holds the loop is its shell.
            await eventually {
                ProcessTable.descendants(of: context.processID).contains(daemon)
            }
            for entry in ProcessTable.carrying(marker) { entry.send(signal: SIGKILL) }
            await eventually {
                ProcessTable.descendants(of: context.processID).allSatisfy { !$0.isZombie }
                    && ProcessTable.entry(of: daemon.pid) != daemon
            }
        }
    }

    @Test(arguments: Way.available)
    func `Daemons of commands and tasks end with their context`(way: Way) async throws {
        let markers = [makeMarker(), makeMarker()]
        let time = Locked(ContinuousClock.now)
        try await withContext(way) { context in
            try await context.run(Self.daemon(markers[0]))
            let statuses = try await context.call(StartDaemon(marker: markers[1], children: 12))
            #expect(statuses.sorted() == Array(0..<12))
            await eventually { markers.allSatisfy { sleepers($0).count == 1 } }
            time.withLock { $0 = .now }
        }
        for marker in markers { #expect(ProcessTable.carrying(marker).isEmpty) }
        #expect(ContinuousClock.now - time.withLock { $0 } < .seconds(6))
    }

    @Test func `Daemons end with a context that is killed`() async throws {
        try await withLocalContext { _, context in
            let markers = [makeMarker(), makeMarker()]
            // The first one's command goes on, as a script that starts a server and waits would.
            let run = Task { try await context.run(Self.daemon(markers[0]) + "; sleep \(markers[1])") }
            _ = try await context.call(StartDaemon(marker: markers[1], children: 1))
            await eventually { sleepers(markers[0]).count == 1 && sleepers(markers[1]).count == 2 }
            let daemons = markers.flatMap(ProcessTable.carrying)
            // The looks for orphans are at most a second apart.
            // (The command's own group was guarded before.)
            let adopted = daemons.filter { $0.parent == context.processID && getpgid($0.pid) != $0.pid }.map(\.pid)
            #expect(adopted.count == 2)
            await eventually { try await context.call(AskGuard(processes: adopted)) }
            kill(context.processID, SIGKILL)
            _ = await run.result
            await eventually { daemons.allSatisfy { !$0.isAlive } }
        }
    }

    @Test func `A task's own children are its own, however late it asks`() async throws {
        try await TestFolder.with { folder in
            try await withLocalContext { _, context in
                let call = Task { try await context.call(TakeStatusLate(release: folder.file("release"))) }
                await eventually {
                    ProcessTable.descendants(of: context.processID).contains { $0.isZombie }
                }
                // Enough for many looks.
                for _ in 0..<5 {
                    try await context.run("sleep 0.3")
                }
                folder.touch("release")
                let status = try await call.value
                #expect(status == 7)
            }
        }
    }
}
