import Foundation
import MartletFragment
import MartletReactor
import MartletTestKit
import Testing

@testable import Martlet

/// How a fragment comes to where it runs.
@Suite(.leakChecked) struct FragmentTransportTests {
    @Test func `A second time nothing is sent`() async throws {
        try await withContext { context in
            let fragment = try await many()
            let size = fragment.image.byteCount
            let before = try writtenBytes()
            try await Self.answers(context)
            let first = try writtenBytes() - before
            // Compressed, if both sides can.
            #expect(first > size / 6)
            try await Self.answers(context)
            let second = try writtenBytes() - before - first
            #expect(second < 100_000, "of \(size) bytes")
        }
    }

    @Test(.enabled(if: hasSSHServer, "needs openssh-server"))
    func `It goes over ssh, and on to a context behind`() async throws {
        try await withThrowawaySSHD { sshd in
            let lines = Lines()
            try await withMartlet(lines.options) { martlet in
                let context = try await martlet.connect(
                    .ssh(sshd.hostAlias, configuration: sshd.configPath, options: []))
                try await Self.answers(context)
                let below = try await context.connect(.local)
                try await Self.answers(below)
                let print = try await below.many("print", "x")
                try await print.finished()
                let fails = try await below.many("throw")
                #expect(try await fails.receive() == 17)
                let error = try await #require(throws: FragmentError.self) { _ = try await fails.receive() }
                #expect(error.route == below.route)
            }
            #expect(lines.all.contains("output: out x set"))
            // It was never a file there.
            let files = FileManager.default.enumerator(atPath: sshd.home)?.allObjects as? [String] ?? []
            #expect(files.filter { $0.contains("fragment") }.isEmpty)
        }
    }

    @Test func `Without gzip there it is sent as it is`() async throws {
        try await withFolder { folder in
            for name in try FileManager.default.contentsOfDirectory(atPath: "/bin") where !name.contains("zip") {
                try? FileManager.default.createSymbolicLink(
                    atPath: "\(folder)/\(name)", withDestinationPath: "/bin/\(name)")
            }
            let old = String(cString: getenv("PATH"))
            try await withMartlet(Lines().options) { martlet in
                setenv("PATH", folder, 1)
                defer { setenv("PATH", old, 1) }
                let context = try await martlet.connect(.local)
                setenv("PATH", old, 1)
                let before = try writtenBytes()
                try await Self.answers(context)
                let size = try await many().image.byteCount
                #expect(try writtenBytes() - before > size)
            }
        }
    }

    private static func answers(_ context: Context) async throws {
        let fragment = try await context.many("answer")
        try await fragment.send(1)
        #expect(try await fragment.receive() == 2)
        try await fragment.finished()
    }

    @Test func `A program runs from memory and from every other place, and has no name there`() async throws {
        try await withMartlet(Lines().options) { _ in try await Self.runsEverywhere() }
    }

    private static func runsEverywhere() async throws {
        let program = try Data(contentsOf: URL(fileURLWithPath: "/bin/true"))
        let image = try SentImage.make(program.count, .disk) { file throws(SystemError) in
            program.withUnsafeBytes { _ = write(file.writeEnd, $0.baseAddress!, $0.count) }
            closeDescriptor(file.writeEnd)
        }
        var places: [String] = []
        var next: SentImage? = image
        while let image = next {
            let target = try FileManager.default.destinationOfSymbolicLink(atPath: image.path)
            places.append(target)
            #expect(target.hasSuffix(" (deleted)"))
            if try await !Self.succeeds(image) { Issue.record("\(target) does not run") }
            next = image.moved(.disk)
        }
        #expect(places.first?.hasPrefix("/memfd:") == true)
        #expect(places.count > 1)
        #expect(image.moved(.memory).map { $0.path } != nil)
    }

    private static func succeeds(_ image: SentImage) async throws -> Bool {
        let nothing = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer { closeDescriptor(nothing) }
        return try await withCheckedThrowingContinuation { continuation in
            do {
                _ = try ChildProcess.spawn(
                    SpawnRequest(
                        path: image.path, executable: image.descriptor, arguments: ["true"], environment: [],
                        descriptors: (nothing, nothing, nothing)),
                    reactor: .shared
                ) { continuation.resume(returning: $0 == .exited(0)) }
            } catch { continuation.resume(throwing: error) }
        }
    }
}
