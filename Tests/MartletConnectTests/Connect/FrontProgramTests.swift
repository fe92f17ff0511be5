import Foundation
import MartletTestKit
import MartletTestSupport
import Synchronization
import Testing

@testable import Martlet

/// The program in front of a context, when it is over.
@Suite(.leakChecked) struct FrontProgramTests {
    /// As `ssh` with a proxy: what it has started in its group outlives it for as long as a file is there.
    private struct Front: Connector {
        /// Whether somebody still has the connector.
        final class Mark: Codable, Sendable {}

        var mark = Mark()
        var file: String
        var ending: String
        var label: String { "front" }

        func launch(_ bootstrap: Bootstrap) -> Launch {
            let left = "while [ -e \(file) ]; do sleep 0.01; done"
            return .shell(["sh", "-c", "{ \(left); } </dev/null >/dev/null 2>&1 & \(ending)", bootstrap.line])
        }
    }

    private final class Weak: @unchecked Sendable {
        private(set) weak var mark: Front.Mark?
        init(_ mark: Front.Mark) { self.mark = mark }
    }

    /// - Returns: what the connector has held, when its context is over.
    private func connect(_ martlet: Controller, _ file: String, _ ending: String) async throws -> Weak {
        let front = Front(file: file, ending: ending)
        if ending == "exit 3" {
            try await expectError(.noShell) { try await martlet.connect(front) }
        } else {
            try await martlet.withContext(front) { context async throws in
                #expect(try await context.run("echo here").lines == ["here"])
            }
        }
        return Weak(front.mark)
    }

    @Test(arguments: ["exit 3", "exec sh -c \"$0\""])
    func `Nothing is kept of it when its group has gone, whether it has led to a context or not`(
        ending: String
    ) async throws {
        try await TestFolder.with { folder in
            try await withMartlet(OutputLog().options) { martlet in
                folder.touch("stay")
                let connector = try await connect(martlet, folder.file("stay"), ending)
                try FileManager.default.removeItem(atPath: folder.file("stay"))
                await eventually { martlet.runtime.state.withLock { $0.connectors.isEmpty } }
                await eventually("the end of what the connect knew") { connector.mark == nil }
            }
        }
    }
}
