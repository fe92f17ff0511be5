import Foundation
import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

@testable import MartletSocket

@Suite(.startsNIO, .leakChecked) struct UnixSocketTests {
    private func with(_ body: @Sendable (String, ServerLog, SocketServer, Controller) async throws -> Void) async throws
    {
        try await TestFolder.with(permissions: 0o700) { try await with($0.file("socket"), body) }
    }

    private func with(
        _ path: String, _ body: @Sendable (String, ServerLog, SocketServer, Controller) async throws -> Void
    ) async throws {
        let log = ServerLog()
        try await withMartlet(quiet()) { martlet in
            let server = try await SocketServer.start(.unix(path), log: log.append)
            do { try await body(path, log, server, martlet) } catch {
                await server.close()
                throw error
            }
            await server.close()
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }

    /// A client that says what it likes.
    private func say(_ text: String, at path: String) async throws -> String {
        let script = """
            import socket,sys
            s=socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode())
            out=b""
            while True:
                part=s.recv(4096)
                if not part: break
                out+=part
            sys.stdout.write(out.decode())
            """
        return try await runProgram(["python3", "-c", script, path, text]).output
    }

    @Test func `A context behind a socket is one as any other, and ends with its connection`() async throws {
        try await with { path, log, _, martlet async throws in
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            let context = try await martlet.connect(.unix(path))
            try await expectWorks(context)
            let pid = context.facts.processID
            #expect(context.route.steps.last == "unix:\(path)")
            let below = try await context.connect(.local)
            try await expectWorks(below)
            await context.close()
            await eventually { ProcessTable.entry(of: pid) == nil }
            let again = try await martlet.connect(.unix(path))
            try await expectWorks(again)
            #expect(log.all.filter { $0.contains("begins") }.count == 2)
        }
    }

    @Test func `The server's end ends what it serves`() async throws {
        try await with { path, _, server, martlet in
            let context = try await martlet.connect(.unix(path))
            let sleeping = Task { try await context.run("sleep 86400") }
            await eventually { ProcessTable.descendants(of: context.facts.processID).contains { $0.name == "sleep" } }
            await server.close()
            let error = await #expect(throws: MartletError.self) { try await sleeping.value }
            #expect(error?.code == .contextLost)
            try await expectError(.unreachable) { try await martlet.connect(.unix(path)) }
        }
    }

    @Test func `Who is no client of ours is turned away, and so is who says nothing`() async throws {
        try await with { path, log, _, martlet async throws in
            #expect(try await say("GET / HTTP/1.1\r\n\r\n", at: path) == "")
            #expect(try await say("martlet-shell 1 echo a\necho b\n", at: path) == "")
            #expect(try await say("martlet-shell 1 \u{1b}\n", at: path) == "")
            #expect(try await say(String(repeating: "martlet-shell 1 ", count: 1), at: path) == "")
            await eventually { log.all.filter { $0.contains("no client of ours") }.count == 3 }
            #expect(log.has("said nothing in time"))
            // A line of ours is run as it is.
            #expect(try await say("martlet-shell 1 echo hello\n", at: path) == "hello\n")
            try await expectWorks(try await martlet.connect(.unix(path)))
        }
    }

    @Test func `A command that goes on without its connection is ended`() async throws {
        try await with { path, _, _, _ async throws in
            let marker = "86400.\(UInt32.random(in: 100_000_000...999_999_999))"
            let script = """
                import socket,sys,time
                s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode()); time.sleep(600)
                """
            let client = Task {
                try await runProgram(["python3", "-c", script, path, "martlet-shell 1 sleep \(marker); true\n"])
            }
            let sleeps: @Sendable () -> [ProcessTable.Entry] = {
                ProcessTable.carrying(marker).filter { $0.name == "sleep" }
            }
            await eventually { sleeps().count == 1 }
            client.cancel()
            _ = try? await client.value
            await eventually(within: .seconds(20)) { sleeps().isEmpty }
        }
    }

    @Test func `What a dead server has left is replaced, what lives or is no socket is not`() async throws {
        try await with { path, _, _, _ async throws in
            try await expectError(.misuse) { try await SocketServer.start(.unix(path)) }
            try Data().write(to: URL(fileURLWithPath: path + "file"))
            try await expectError(.misuse) { try await SocketServer.start(.unix(path + "file")) }
            let stale = path + "stale"
            _ = try await runProgram([
                "python3", "-c", "import socket,sys;socket.socket(socket.AF_UNIX).bind(sys.argv[1])", stale,
            ])
            #expect(FileManager.default.fileExists(atPath: stale))
            let server = try await SocketServer.start(.unix(stale))
            #expect(try await say("martlet-shell 1 echo new\n", at: stale) == "new\n")
            await server.close()
        }
    }

    @Test(.enabled("needs root") { geteuid() == 0 })
    func `Another user does not get in, even where the mode lets him`() async throws {
        try await with { path, log, _, martlet async throws in
            chmod(path, 0o777)
            chmod(URL(fileURLWithPath: path).deletingLastPathComponent().path, 0o755)
            let script =
                "import socket,sys,os;os.setuid(65534);s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);print(s.recv(10))"
            #expect(try await runProgram(["python3", "-c", script, path]).output == "b''\n")
            #expect(log.has("user 65534 was turned away"))
        }
    }
}
