import Foundation
import Glibc
import Testing

@testable import Martlet
@testable import MartletTestKit

/// A home, a folder with the `sh` to test, and what a bootstrap needs beside them.
struct BootstrapFixture: Sendable {
    let scratch: Scratch
    let agent: FakeAgent

    var home: String { scratch.path + "/home" }
    var tools: String { scratch.path + "/bin" }
    var cache: String { home + "/.cache/martlet" }
    var nonce = BootstrapNonce.random()

    static let isRoot = geteuid() == 0

    init(agent: Result<FakeAgent, any Error> = FakeAgent.plain) throws {
        scratch = try Scratch()
        self.agent = try agent.get()
        try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
        try FileManager.default.createDirectory(atPath: tools, withIntermediateDirectories: true)
    }

    func with(_ body: (BootstrapFixture) throws -> Void) throws {
        defer { scratch.remove() }
        try body(self)
    }

    /// Where a program is, or nil; never a shim in somebody's home.
    static func find(_ name: String) -> String? {
        ["/usr/bin/", "/bin/", "/usr/local/bin/"].map { $0 + name }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    /// Puts busybox's programs, and no others, on the far side's path.
    func useBusyboxOnly(_ far: inout FarSide) throws {
        let busybox = try #require(Self.find("busybox"))
        if !FileManager.default.fileExists(atPath: tools + "/ls") {
            try HelperProcess.run([
                busybox, "sh", "-c", "for a in $(\(busybox) --list);do ln -s \(busybox) \(tools)/$a;done",
            ])
        }
        far.environment["PATH"] = tools
    }

    /// Puts a program of the test's own before the system's.
    func addTool(_ name: String, script: String) throws {
        let path = tools + "/" + name
        try? FileManager.default.removeItem(atPath: path)
        try "#!/bin/sh\n\(script)\n".write(toFile: path, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
    }

    /// Makes `name` the program `sh` at the far side.
    func useAsSh(_ name: String) throws {
        try FileManager.default.createSymbolicLink(
            atPath: tools + "/sh", withDestinationPath: try #require(Self.find(name)))
    }

    var environment: [String: String] {
        ["PATH": tools + ":/usr/sbin:/usr/bin:/sbin:/bin", "HOME": home, "LANG": "C.UTF-8"]
    }

    func first(
        _ policy: ImagePolicy, namesMachine: Bool = false, isCareful: Bool = false, nonce: BootstrapNonce? = nil
    ) throws -> FirstStage {
        try #require(
            FirstStage(
                nonce: nonce ?? self.nonce, policy: policy, imageID: agent.image.id,
                usesFolder: agent.image.isDynamic, namesMachine: namesMachine, isCareful: isCareful))
    }

    func farSide(
        _ policy: ImagePolicy, shell: [String] = ["sh", "-c"], setup: String? = nil
    ) throws -> FarSide {
        var shell = shell
        if let setup {
            // A mount namespace of its own: what is mounted ends with the shell.
            let unshare = try #require(Self.find("unshare"))
            shell = [unshare, "-m", "--propagation", "private", "/bin/sh", "-c", setup + "\nexec \"$@\"", "sh"] + shell
        }
        return FarSide(
            shell: shell, environment: environment, agent: agent, first: try first(policy, nonce: .random()))
    }

    /// What bootstraps left in the places that they try.
    static func leftovers(nonce: BootstrapNonce, home: String) -> [String] {
        let runtime = ProcessInfo.processInfo.environment["XDG_RUNTIME_DIR"]
        return
            (["/dev/shm", "/run", "/tmp", "/var/tmp", home, home + "/.cache/martlet"] + (runtime.map { [$0] } ?? []))
            .map { $0 + "/.martlet-" + nonce.text }
            .filter { FileManager.default.fileExists(atPath: $0) }
    }
}
