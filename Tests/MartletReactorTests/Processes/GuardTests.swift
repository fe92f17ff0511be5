import Foundation
import Glibc
import MartletTestKit
import Testing

@testable import MartletReactor

private let hasCompiler = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
    access("\($0)/clang", X_OK) == 0
}

/// The guard, with a small C program as the owner that is killed.
@Suite(
    "The guard of child processes", .guardStarted, .nothingLeft, .timeLimit(.minutes(2)),
    .enabled(if: hasCompiler, "the owner is a C program, and there is no clang"))
struct GuardTests {
    /// Starts one group for each argument, prints the guard's and the groups' numbers, and then does what the first
    /// argument says: `wait`, `spin`, `fork` (a copy of it lives on) or `lost` (the guard is killed and started again).
    private static let program = #"""
        #include "CMartlet.h"
        #include <signal.h>
        #include <stdio.h>
        #include <string.h>
        #include <sys/wait.h>
        #include <unistd.h>
        int main(int count, char **arguments) {
          if (strcmp(arguments[1], "stop") == 0) {
            if (martlet_guard_start()) return 1;
            martlet_guard_stop();
            if (martlet_guard_start()) return 2;
            martlet_guard_stop();
            return 0;
          }
          if (strcmp(arguments[1], "self") == 0) {
            martlet_kill_self_after(50);
            for (;;) {}
          }
          if (martlet_guard_start()) return 1;
          for (int i = 2; i < count; i++) {
            char *argv[] = {"sh", "-c", arguments[i], NULL}, *envp[] = {"PATH=/usr/bin:/bin", NULL};
            struct martlet_spawn spawn = {"/bin/sh", -1, argv, envp, NULL, {0, 1, 2}, false, 0, -1};
            int pidfd, slot, step;
            printf("%d\n", martlet_spawn(&spawn, &pidfd, &slot, &step));
          }
          fflush(stdout);
          if (strcmp(arguments[1], "lost") == 0) {
            char command[64];
            snprintf(command, sizeof command, "pkill -9 -P %d martlet-guard", getpid());
            for (int tries = 0; tries < 500 && system(command) != 0; tries++) usleep(10000);
            // Sent is not dead yet: what counts is that its end of the pipe is closed.
            siginfo_t end;
            if (waitid(P_ALL, 0, &end, WEXITED | WNOWAIT)) return 3;
            if (martlet_guard_start()) return 1;
          }
          if (strcmp(arguments[1], "fork") == 0 && fork() == 0) {
            setsid();
            sleep(20);
            _exit(0);
          }
          printf("ready\n");
          fflush(stdout);
          if (strcmp(arguments[1], "spin") == 0) for (;;) {}
          for (;;) pause();
        }
        """#

    /// Compiles the program.
    private static func withOwner(_ body: (String) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "martlet-guard-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let source = directory.appending(path: "owner.c")
        try Data(("#include <stdlib.h>\n" + program).utf8).write(to: source)
        let sources = URL(filePath: #filePath).appending(path: "../../../../Sources/CMartlet").standardized.path()
        let owner = directory.appending(path: "owner").path()
        let files = ["spawn.c", "guard.c", "children.c", "poll.c", "takeover.c"].map { "\(sources)/\($0)" }
        let result = try await runProgram(
            ["clang", "-O1", "-I\(sources)/include", source.path()] + files + ["-o", owner, "-lpthread"])
        try #require(result.exitCode == 0, "\(result.errors)")
        try await body(owner)
    }

    /// Starts the owner and waits until it is ready; returns it and all that it started.
    private static func start(
        _ owner: String, _ how: String, _ scripts: [String], on reactor: Reactor
    ) async throws -> (ChildProcess, [ProcessTable.Entry]) {
        let output = try MartletReactor.Pipe()
        let process = try ChildProcess.spawn(
            request(owner, [how] + scripts, output: output.writeEnd), reactor: reactor
        ) { _ in }
        closeDescriptor(output.writeEnd)
        var text = ""
        var bytes = [UInt8](repeating: 0, count: 256)
        // One "armed" for each script and the owner's own "ready".
        while text.components(separatedBy: "armed").count <= scripts.count || !text.contains("ready") {
            let count = read(output.readEnd, &bytes, bytes.count)
            guard count > 0 else { break }
            text += String(decoding: bytes[..<count], as: UTF8.self)
        }
        closeDescriptor(output.readEnd)
        let started = ProcessTable.descendants(of: process.pid)
        #expect(started.count >= scripts.count + 1)
        return (process, started)
    }

    private static let scripts = [
        "echo armed; exec sleep 1000",
        "trap '' TERM HUP INT; echo armed; while :; do sleep 1000; done",
        "trap '' TERM; (trap '' TERM; echo armed; sleep 1000) & while :; do sleep 1000; done",
        "echo armed; kill -STOP $$; sleep 1000",
        "trap '' TERM; echo armed; kill -STOP $$; sleep 1000",
    ]

    @Test(arguments: ["wait", "spin", "fork", "lost"])
    func `When its owner is killed, all groups end, and then the guard`(how: String) async throws {
        try await Self.withOwner { owner in
            try await withReactor { reactor in
                let (process, started) = try await Self.start(owner, how, Self.scripts, on: reactor)
                // The copy of the owner is not in a group of the table.
                let groups = started.filter { $0.name != "owner" }
                await eventually("the two that stop themselves") {
                    groups.filter { ProcessTable.entry(of: $0.pid)?.state == "T" }.count == 2
                }
                // Whatever becomes of this test, nothing of it stays: it holds what the test prints to.
                defer { for entry in started where entry.isAlive { entry.send(signal: SIGKILL) } }
                kill(process.pid, SIGKILL)
                await eventually(within: .seconds(3), "the end of \(groups)") { !groups.contains { $0.isAlive } }
                for copy in started where copy.name == "owner" { copy.send(signal: SIGKILL) }
                await eventually { !started.contains { $0.isAlive } }
                await eventually { !process.isAlive }
            }
        }
    }

    @Test func `A stopped owner keeps what it started`() async throws {
        try await Self.withOwner { owner in
            try await withReactor { reactor in
                let script = "echo armed; exec sleep 1000"
                let (process, started) = try await Self.start(owner, "wait", [script], on: reactor)
                process.signal(SIGSTOP)
                await eventually { ProcessTable.entry(of: process.pid)?.state == "T" }
                let end = ContinuousClock.now + .milliseconds(300)
                await eventually { ContinuousClock.now >= end }
                #expect(!started.contains { !$0.isAlive })
                process.signal(SIGKILL)
                await eventually(within: .seconds(3)) { !started.contains { $0.isAlive } }
                await eventually { !process.isAlive }
            }
        }
    }

    @Test func `Stopping the guard reaps it, and it can be started again`() async throws {
        try await Self.withOwner { owner in
            let result = try await runProgram([owner, "stop"])
            #expect(result.exitCode == 0)
        }
    }

    @Test func `A process can have itself killed, whatever it does`() async throws {
        try await Self.withOwner { owner in
            let result = try await runProgram([owner, "self"])
            #expect(result.signal == SIGKILL)
        }
    }
}
