import Foundation
import MartletTestKit
import Testing

@Suite(.leakChecked) struct DemoTests {
    @Test func `The demo shows everything and leaves nothing behind`() async throws {
        let scratch = "/tmp/" + MartletProgram.marker()
        try FileManager.default.createDirectory(atPath: scratch, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: scratch) }
        let result = try await MartletProgram.run(["demo"], environment: ["TMPDIR": scratch], within: .seconds(120))
        #expect(result.exitCode == 0, "\(result.output) \(result.errors)")
        #expect(result.output.contains("78498"))
        #expect(result.output.contains("attemptsLeft is 2"))
        #expect(result.output.contains("20 processes started"))
        #expect(
            result.output.contains(
                MartletProgram.hasServer ? "warm  connected in" : "left out: there is no /usr/sbin/sshd"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch).isEmpty)
        await eventually { ProcessTable.carrying(scratch).isEmpty }
    }
}
