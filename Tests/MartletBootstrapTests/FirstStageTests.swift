import Foundation
import Glibc
import MartletTestKit
import Testing

@testable import Martlet

@Suite("The first stage", .serialized, .leakChecked)
struct FirstStageTests {
    static let loginShells = ["sh", "dash", "bash", "zsh", "ksh", "mksh", "yash", "fish", "tcsh", "csh", "busybox"]
        .filter { BootstrapFixture.find($0) != nil }

    @Test(
        "is one line of at most 600 bytes in characters that every login shell leaves alone",
        arguments: ImagePolicy.allCases)
    func size(policy: ImagePolicy) throws {
        let nonce = try #require(BootstrapNonce(String(repeating: "f", count: 32)))
        let first = try #require(
            FirstStage(
                nonce: nonce, policy: policy, imageID: String(repeating: "e", count: 40), usesFolder: true,
                namesMachine: true, setsLibraryPath: true))
        let line = first.commandLine
        print("first stage, longest, \(policy): \(line.utf8.count) bytes")
        #expect(line.utf8.count <= 600)
        let quoted = line.dropFirst("exec sh -c '".count).dropLast()
        #expect(line == "exec sh -c '" + quoted + "'")
        for forbidden in ["'", "!", "\n", "\\\\"] { #expect(!quoted.contains(forbidden)) }
        #expect(!line.contains(String(decoding: nonce.reportMarker, as: UTF8.self).dropLast()))
    }

    @Test("refuses names that are no hash", arguments: ["", "$(id)", "ABCD", String(repeating: "a", count: 41)])
    func names(id: String) {
        #expect(FirstStage(nonce: .random(), policy: .disk, imageID: id) == nil)
    }

    @Test("refuses nonces that are not 16 to 32 digits")
    func nonces() {
        for text in ["", "0123456789abcde", "0123456789abcdeG", "0123456789ABCDEF", String(repeating: "a", count: 33)] {
            #expect(BootstrapNonce(text) == nil)
        }
        #expect(BootstrapNonce("0123456789abcdef") != nil && BootstrapNonce.random().text.utf8.count == 32)
    }

    @Test("misses, sends and then hits under any login shell", arguments: loginShells)
    func loginShell(name: String) throws {
        try BootstrapFixture().with { fixture in
            let path = try #require(BootstrapFixture.find(name))
            let shell = name == "busybox" ? [path, "sh", "-c"] : [path, "-c"]
            let cold = try fixture.farSide(.disk, shell: shell).run()
            #expect(cold.isLinked && cold.sent == [.raw], "\(cold)")
            #expect(cold.ready.map(\.place) == ["cache"])
            let warm = try fixture.farSide(.disk, shell: shell).run()
            #expect(warm.isLinked && warm.sent.isEmpty, "\(warm)")
            #expect(warm.facts["argv0"] == fixture.cache + "/" + fixture.agent.image.id)
            #expect(warm.facts["cwd"] == "/" && warm.facts["env:SWIFT_ROOT"] == "/" && warm.status == 5)
            #expect(warm.facts.keys.allSatisfy { !$0.hasPrefix("env:_") || $0 == "env:_" })
        }
    }

    @Test("finds its way through what a login prints", arguments: ["bash", "zsh"])
    func noise(name: String) throws {
        try BootstrapFixture().with { fixture in
            let path = try #require(BootstrapFixture.find(name))
            let banner = "printf 'MARTLET-\\0MARTLET\\0 welcome\\n'; echo \"$1\"; eval \"$1\""
            var far = try fixture.farSide(.disk, shell: [path, "-c", banner, "x"])
            far.roundTrip = .seconds(1)
            #expect(try far.run().isLinked)
        }
    }

    @Test("passes over a cache that belongs to somebody else", .enabled(if: BootstrapFixture.isRoot, "needs root"))
    func foreignOwner() throws {
        try BootstrapFixture().with { fixture in
            #expect(try fixture.farSide(.disk).run().isLinked)
            for foreign in [fixture.cache + "/" + fixture.agent.image.id, fixture.cache, fixture.home + "/.cache"] {
                try FileManager.default.setAttributes([.ownerAccountID: 65534], ofItemAtPath: foreign)
                let outcome = try fixture.farSide(.disk).run()
                #expect(outcome.isLinked && outcome.sent.count == 1, "\(foreign): \(outcome)")
                #expect((outcome.ready.first?.place == "cache") == foreign.hasSuffix(fixture.agent.image.id))
                try FileManager.default.setAttributes([.ownerAccountID: 0], ofItemAtPath: foreign)
            }
            try FileManager.default.setAttributes([.ownerAccountID: 65534], ofItemAtPath: fixture.home)
            #expect(try fixture.farSide(.disk).run().ready.first?.place == "/dev/shm")
        }
    }

    /// Files that no kernel starts or that end at once; none of them does harm where a shell takes it for a script.
    static let damage: [(name: String, bytes: [UInt8])] = [
        ("without its interpreter", Array("#!/nowhere/at/all\n".utf8)),
        ("overwritten with nothing", [UInt8](repeating: 0, count: 4096)),
        ("overwritten with text", Array("echo nonsense; exit 3\n".utf8)),
        ("of another kind of machine", [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 57)),
        ("empty", []),
    ]

    @Test(
        "tells of a cached image that does not start, and the careful try replaces it",
        arguments: SecondStageTests.shells, damage.indices)
    func brokenImage(name: String, index: Int) throws {
        try heals(FakeAgent.plain, name) { file in
            try Data(Self.damage[index].bytes).write(to: file)
        }
    }

    @Test(
        "replaces a cached image that was cut short, and libraries that are damaged", arguments: SecondStageTests.shells
    )
    func cutImage(name: String) throws {
        // So short that the kernel cannot start it; what is longer may well run.
        try heals(FakeAgent.plain, name) { file in try Data(contentsOf: file).prefix(60_000).write(to: file) }
        try heals(FakeAgent.withLibrary, name) { file in
            let folder = file.deletingLastPathComponent()
            // A hard link, so that the library that other images share is damaged too.
            try FileHandle(forWritingTo: folder.appending(path: "libfake.so.1")).truncate(atOffset: 1000)
        }
        try heals(FakeAgent.withLibrary, name) { file in
            try FileManager.default.removeItem(at: file)
            try FileManager.default.createDirectory(at: file, withIntermediateDirectories: false)
        }
    }

    private func heals(_ agent: Result<FakeAgent, any Error>, _ shell: String, _ damage: (URL) throws -> Void) throws {
        try BootstrapFixture(agent: agent).with { fixture in
            try fixture.useAsSh(shell)
            #expect(try fixture.farSide(.disk).run().isLinked)
            let path = fixture.cache + "/" + fixture.agent.image.id + (fixture.agent.image.isDynamic ? "/image" : "")
            try damage(URL(fileURLWithPath: path))
            if !fixture.agent.image.isDynamic { chmod(path, 0o700) }
            let first = try fixture.farSide(.disk).run()
            if !first.isLinked {
                #expect(first.failure?.kind == .cachedDidNotStart && first.failure?.isWorthCare == true, "\(first)")
                var far = try fixture.farSide(.disk)
                far.first = try fixture.first(.disk, isCareful: true, nonce: .random())
                let second = try far.run()
                #expect(second.isLinked && second.ready.map(\.place) == ["cache"], "\(second)")
                #expect(second.missing == [Array(fixture.agent.files.indices)])
            }
            let third = try fixture.farSide(.disk).run()
            #expect(third.isLinked && third.sent.isEmpty, "\(third)")
        }
    }
}
