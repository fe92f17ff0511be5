import Foundation
import Testing

@testable import Martlet

@Suite("The first stage", .serialized)
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

    @Test("turns a cached image that cannot be executed into a miss", arguments: ["dash", "bash", "busybox", "mksh"])
    func brokenImage(name: String) throws {
        try BootstrapFixture().with { fixture in
            try fixture.useAsSh(name)
            try FileManager.default.createDirectory(atPath: fixture.cache, withIntermediateDirectories: true)
            let file = fixture.cache + "/" + fixture.agent.image.id
            try "#!/nowhere/at/all\n".write(toFile: file, atomically: true, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: file)
            let outcome = try fixture.farSide(.disk).run()
            #expect(outcome.isLinked && outcome.ready.map(\.place) == ["cache"], "\(outcome)")
        }
    }
}
