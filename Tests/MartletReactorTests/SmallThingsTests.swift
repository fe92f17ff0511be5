import CMartlet
import Foundation
import Glibc
import MartletReactor
import MartletTestKit
import Testing

@Suite("Hashes, random bytes and the build id", .nothingLeft, .timeLimit(.minutes(1)))
struct SmallThingsTests {
    private static func hash(_ bytes: [UInt8]) -> String {
        var digest = [UInt8](repeating: 0, count: 32)
        martlet_sha256(bytes, bytes.count, &digest)
        return digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func `SHA-256 gives the standard's own examples`(text: String, digest: String) {
        #expect(Self.hash(Array(text.utf8)) == digest)
    }

    @Test func `SHA-256 gives the standard's long example`() {
        let digest = Self.hash([UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000))
        #expect(digest == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    @Test func `SHA-256 agrees with sha256sum at every length up to 300`() async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "martlet-hash-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        var numbers = SeededGenerator(seed: 1)
        var files: [String: String] = [:]
        for length in 0...300 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &numbers) }
            let file = directory.appending(path: "\(length)")
            try Data(bytes).write(to: file)
            files[file.path()] = Self.hash(bytes)
        }
        let result = try await runProgram(["sha256sum"] + files.keys)
        let lines = result.output.split(separator: "\n").map { $0.split(separator: " ") }
        #expect(lines.count == 301)
        for line in lines { #expect(files[String(line[1])] == String(line[0])) }
    }

    @Test func `The build id is the one that the linker wrote`() async throws {
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = martlet_build_id(&bytes, bytes.count)
        let own = bytes[..<count].map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        let notes = try await runProgram(["readelf", "-n", "/proc/\(getpid())/exe"])
        let line = notes.output.split(separator: "\n").first { $0.contains("Build ID: ") }
        #expect(own == line?.split(separator: " ").last.map(String.init) ?? "")
        #expect(martlet_build_id(&bytes, 3) == min(count, 3))
    }

    @Test func `Random bytes fill what was asked for and differ`() {
        var (one, other) = ([UInt8](repeating: 0, count: 100_000), [UInt8](repeating: 0, count: 100_000))
        #expect(martlet_random(&one, one.count))
        #expect(martlet_random(&other, other.count))
        #expect(one != other)
        #expect(Set(one).count == 256)
        #expect(one.suffix(64) != ArraySlice(repeating: 0, count: 64))
        #expect(martlet_random(&one, 0))
    }

    @Test func `Errors are in words`() {
        #expect(SystemError(ENOENT, "open /x").description == "open /x: No such file or directory")
        #expect(SystemError.text(99_999) == "unknown error")
    }
}
