import Foundation
import MartletTestKit
import MartletTestSupport
import Testing

@testable import Martlet

@Suite(.leakChecked, .enabled(if: staticAgent != nil, "needs martlet-agent, which a whole build makes"))
struct ImageTests {
    @Test(arguments: ["mv other image", "cat other >image", ": >image", "rm image"])
    func `An image that was rebuilt since it was read is not sent by its former name`(change: String) async throws {
        try await TestFolder.with { folder in
            let agent = try Data(contentsOf: URL(fileURLWithPath: try #require(staticAgent)))
            try agent.write(to: URL(fileURLWithPath: folder.file("image")))
            try agent.write(to: URL(fileURLWithPath: folder.file("other")))
            var options = OutputLog().options
            options.images = .executables([folder.file("image")])
            let way = CommandConnector(command: ["env", "XDG_CACHE_HOME=\(folder.path)", "sh", "-c"])
            try await withMartlet(options) { martlet in
                try await expectError(.noShell) { try await martlet.connect(CommandConnector(command: ["false"])) }
                try await martlet.connect(.local).run("cd \(folder.path) && \(change)")
                let error = try await expectError(.imageUnusable) { try await martlet.connect(way) }
                #expect(error.phase == .boot && error.message.contains("\(folder.path)/image"))
                if change != "rm image" {
                    #expect(error.message.contains("has changed"))
                    #expect(error.advice?.contains("start this program again") == true)
                }
                // What a shell has begun in that is being ended may be there still.
                let cache = try FileManager.default.contentsOfDirectory(atPath: folder.file("martlet"))
                #expect(cache.filter { !$0.hasPrefix(".martlet-") } == [])
            }
        }
    }

    @Test func `An image that could not be read once is read by the next connect`() async throws {
        try await TestFolder.with { folder in
            try FileManager.default.copyItem(atPath: try #require(staticAgent), toPath: folder.file("image"))
            try await withMartlet { _ in
                let image = try ImageStore(.files([folder.file("image")])).image()
                try FileManager.default.moveItem(atPath: folder.file("image"), toPath: folder.file("away"))
                await #expect(throws: (any Error).self) { try await image.content(of: 0, [0], .gzip) }
                try FileManager.default.moveItem(atPath: folder.file("away"), toPath: folder.file("image"))
                #expect(try await image.content(of: 0, [0], .gzip).bytes.isEmpty == false)
            }
        }
    }

    @Test(.enabled(if: Compressor.encodings.contains(.gzip), "needs gzip"))
    func `An image whose compressor dies is sent as it is, and compressed for the next connect`() async throws {
        let agent = try #require(staticAgent)
        try await withMartlet { _ in
            let image = try ImageStore(.files([agent])).image()
            let work = Task { try await image.content(of: 0, [0], .gzip) }
            await eventually {
                let compressors = ProcessTable.all().filter {
                    $0.parent == getpid() && $0.commandLine == ["gzip", "-c", "-6"]
                }
                return compressors.contains { $0.send(signal: SIGKILL) }
            }
            let sent = try await work.value
            #expect(sent.encoding == .raw)
            #expect(sent.bytes.count == image.files[0][0].byteCount)
            let next = try await image.content(of: 0, [0], .gzip)
            #expect(next.encoding == .gzip && next.bytes.starts(with: [0x1f, 0x8b]))
        }
    }
}
