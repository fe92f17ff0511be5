import Foundation
import MartletFleet
import MartletTestKit
import Testing

@testable import MartletCommand

/// Who is where, at the end of a terminal that has room for it.
@Suite(.leakChecked) struct LiveViewTests {
    private static let hasTmux = FileManager.default.isExecutableFile(atPath: "/usr/bin/tmux")

    /// A terminal with a program in it, which is ended with it.
    private struct Screen {
        var socket: String

        @discardableResult
        func tmux(_ words: [String]) async throws -> ProgramResult {
            try await runProgram(["tmux", "-S", socket, "-f", "\(socket).conf"] + words)
        }

        func start(_ command: String) async throws {
            try "set -g remain-on-exit on\nset -g status off\n".write(
                toFile: "\(socket).conf", atomically: true, encoding: .utf8)
            let environment = ["MARTLET_JOURNAL": "off", "MARTLET_HUB": "off", "XDG_CONFIG_HOME": "/nowhere"]
            let settings = environment.flatMap { ["-e", "\($0.key)=\($0.value)"] }
            let started = try await tmux(
                ["new-session", "-d", "-x", "90", "-y", "30"] + settings + ["'\(MartletProgram.path)' \(command)"])
            #expect(started.exitCode == 0, "\(started.errors)")
        }

        func lines() async throws -> [String] {
            try await tmux(["capture-pane", "-p"]).output.split(separator: "\n").map {
                $0.trimmingCharacters(in: .whitespaces)
            }
        }

        /// Its words, separated by one blank each, if it is there once.
        func row(_ name: String) async throws -> String? {
            let rows = try await lines().filter { $0.hasPrefix("\(name) ") }
            return rows.count == 1 ? rows[0].split(separator: " ").joined(separator: " ") : nil
        }
    }

    @Test(.enabled(if: hasTmux, "needs tmux"))
    func `A terminal shows who is where below what is printed, whatever its size becomes`() async throws {
        try await withTestFolder { folder async throws in
            let screen = Screen(socket: "\(folder)/tmux")
            let hosts = (0..<4).map { "local?nice=\($0)" }.joined(separator: ",")
            let command = "echo begun; until [ -e \(folder)/$(nice) ]; do sleep 0.05; done; [ $(nice) != 1 ]"
            do {
                try await screen.start("run --color never --fanout 3 -H '\(hosts)' -- '\(command)'")
                await eventually { try await screen.row("running") == "running 3 local#[1-3]" }
                #expect(try await screen.row("waiting") == "waiting 1 local#4")
                #expect(try await screen.lines().filter { $0.hasSuffix("| begun") }.count == 3)
                _ = FileManager.default.createFile(atPath: "\(folder)/1", contents: nil)
                await eventually { try await screen.row("failed") == "failed 1 local#2" }
                await eventually { try await screen.row("running") == "running 3 local#[1,3-4]" }
                for width in ["50", "42", "120"] {
                    try await screen.tmux(["resize-window", "-x", width, "-y", "30"])
                    await eventually("all is drawn anew at \(width) columns") {
                        let lines = try await screen.lines()
                        return lines.count { $0.contains(" of 4 done") } == 1
                            && lines.count { $0.hasSuffix("| begun") } == 4
                            && lines.count { $0.hasPrefix("running") } == 1
                    }
                }
                for number in [0, 2, 3] {
                    _ = FileManager.default.createFile(atPath: "\(folder)/\(number)", contents: nil)
                }
                await eventually {
                    try await screen.lines().contains { $0.hasPrefix("4 hosts: 3 succeeded, 1 failed in ") }
                }
                #expect(try await !screen.lines().contains { $0.contains(" of 4 done") || $0.hasPrefix("running") })
            } catch {
                _ = try? await screen.tmux(["kill-server"])
                throw error
            }
            try await screen.tmux(["kill-server"])
        }
    }

    @Test func `What is drawn is taken away as it stands there, also if lines have been wrapped since`() {
        var drawn = DrawnStatus()
        let style = Style(isColoured: false)
        #expect(drawn.erasure(columns: 80) == "")
        #expect(drawn.drawing([StatusLine("one", .plain)], style, columns: 80) == "one")
        #expect(drawn.erasure(columns: 80) == "\r\u{1b}[K")
        let long = String(repeating: "x", count: 100)
        let text = drawn.drawing([StatusLine("a", .plain), StatusLine(long, .bad)], style, columns: 81)
        #expect(text == "a\n" + String(repeating: "x", count: 79) + "…")
        // The long one takes two rows at half the width.
        #expect(drawn.erasure(columns: 40) == "\r\u{1b}[2A\u{1b}[J")
        #expect(drawn.isEmpty)
    }

    @Test func `Rows are there for those who are somewhere`() {
        let members = (1...7).map { GroupMember("web\($0)") }
        var progress = FleetProgress(members)
        progress.note(.connecting(members[0], attempt: 1))
        progress.note(.running(members[1], step: 1, attempt: 1))
        progress.note(.ended(members[2], .ok, .zero))
        progress.note(.ended(members[3], .timedOut, .zero))
        progress.note(.ended(members[5], .unreachable, .zero))
        progress.note(.ended(members[6], .unreachable, .zero))
        let view = FleetView(progress, "batch 1 of 2", lost: [members[6]], seconds: 7)
        #expect(
            view.lines.map(\.text) == [
                "4 of 7 done, 7 s, batch 1 of 2", "  failed        1  web4", "  not reached   1  web6",
                "  lost          1  web7", "  connecting    1  web1", "  running       1  web2",
                "  waiting       1  web5",
                "  succeeded     1  web3",
            ])
        #expect(view.lines.map(\.look) == [.heading, .bad, .bad, .bad, .plain, .plain, .faint, .good])
    }
}
