import Foundation
import Martlet
import MartletTestKit
import MartletTestSupport
import Synchronization
import Testing

@testable import MartletPython

@Suite(.leakChecked) struct FileTests {
    private func withFolder(_ body: @Sendable (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "martlet-py-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(folder)
    }

    private func write(_ bytes: [UInt8], _ path: String, mode: Int = 0o640) throws {
        try Data(bytes).write(to: URL(filePath: path))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }

    private func bytes(_ path: String) -> [UInt8]? { FileManager.default.contents(atPath: path).map { Array($0) } }

    private func mode(_ path: String) -> Int? {
        (try? FileManager.default.attributesOfItem(atPath: path))?[.posixPermissions] as? Int
    }

    private func names(_ folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    }

    @Test(arguments: Interpreters.all)
    func `Files and bytes go there and back with their mode, whatever their name`(interpreter: String) async throws {
        try await withFolder { folder async throws in
            try await withPython(interpreter) { py async throws in
                for (number, count) in [0, 1, 40, 262_144, 3_000_001].enumerated() {
                    let (here, there, back) = ("\(folder)/here", "\(folder)/there €\n'\"", "\(folder)/back")
                    let content = makePattern(count)
                    try write(content, here, mode: 0o750)
                    let sent = Mutex<[Int]>([])
                    try await py.put(here, to: there, mode: number == 1 ? 0o604 : nil) { count in
                        sent.withLock { $0.append(count) }
                    }
                    #expect(bytes(there) == content)
                    #expect(mode(there) == (number == 1 ? 0o604 : 0o750))
                    #expect(sent.withLock { $0.last ?? 0 } == count)
                    #expect(sent.withLock { $0 == $0.sorted() })
                    try await py.get(there, to: back) { count in sent.withLock { $0.append(count) } }
                    #expect(bytes(back) == content && mode(back) == mode(there))
                    #expect(sent.withLock { $0.last ?? 0 } == count)
                    #expect(try await py.read(there) == content)
                }
                // A name that is no text, and ASCII that Python 2 could take for text.
                let odd = Array("\(folder)/odd-".utf8) + [0xff, 0x01]
                try await py.put(bytes: Array("plain".utf8), to: odd, mode: 0o600)
                #expect(try await py.read(odd) == Array("plain".utf8))
                try await py.put(bytes: Array("again".utf8), to: odd)
                #expect(try await py.run("stat -c %a \(folder)/odd-*").text == "600\n")
                // A link stays a link, and files of the kernel's own are read whole.
                try FileManager.default.createSymbolicLink(
                    atPath: "\(folder)/link", withDestinationPath: "\(folder)/here")
                try await py.put(bytes: [1, 2], to: "\(folder)/link")
                #expect(bytes("\(folder)/here") == [1, 2])
                try await py.get("\(folder)/here", to: "\(folder)/link", mode: 0o600)
                let target = try FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/link")
                #expect(target == "\(folder)/here" && mode(target) == 0o600)
                #expect(try await py.read("/proc/version") == bytes("/proc/version"))
                #expect(names(folder).filter { $0.hasPrefix(".") } == [])
            }
        }
    }

    private func failure(_ body: () async throws -> Void) async throws -> MartletError {
        do { try await body() } catch { return try #require(error as? MartletError) }
        throw Enough()
    }

    @Test(arguments: Interpreters.all)
    func `An error has the path, the reason and the route, and both files are as they were`(
        interpreter: String
    ) async throws {
        try await withFolder { folder async throws in
            try await withPython(interpreter) { py async throws in
                let (here, there) = ("\(folder)/here", "\(folder)/there")
                try write([1, 2, 3], here)
                try write([4, 5], there)
                let missing = try await failure { try await py.get("\(folder)/none", to: here) }
                #expect(missing.message == "read \(folder)/none: No such file or directory")
                #expect(missing.code == .fileFailed && missing.route == py.route)
                let noFolder = try await failure { try await py.put(here, to: "\(folder)/none/x") }
                #expect(noFolder.message == "write \(folder)/none/x: No such file or directory")
                let isFolder = try await failure { try await py.put(here, to: folder) }
                #expect(isFolder.message == "write \(folder): Is a directory")
                #expect(try await failure { _ = try await py.read(folder) }.message.hasSuffix("Is a directory"))
                #expect(try await failure { _ = try await py.read("/dev/null") }.message.contains("no regular file"))
                let full = try await failure { try await py.put(bytes: makePattern(1 << 20), to: "/dev/full") }
                #expect(full.message == "write /dev/full: it is no regular file")
                let near = try await failure { try await py.put("\(folder)/none", to: there) }
                #expect(near.message == "read \(folder)/none here: No such file or directory")
                let back = try await failure { try await py.get(there, to: "\(folder)/none/x") }
                #expect(back.message == "write \(folder)/none/x here: No such file or directory")
                #expect(try await failure { _ = try await py.read(there, limit: 1) }.code == .limitExceeded)
                #expect(bytes(here) == [1, 2, 3] && bytes(there) == [4, 5])
                #expect(names(folder) == ["here", "there"])
                #expect(try await py.call("len", "abc") == 3)
            }
        }
    }

    @Test(arguments: Interpreters.all)
    func `A disk that is full, and a transfer that is cancelled, leave nothing`(interpreter: String) async throws {
        try await withFolder { folder async throws in
            try await withPython(interpreter) { py async throws in
                try write([1], "\(folder)/old")
                try await py.exec(
                    "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
                        + "resource.setrlimit(resource.RLIMIT_FSIZE, (1000000, -1))"
                ).finished()
                let full = try await failure { try await py.put(bytes: makePattern(8 << 20), to: "\(folder)/old") }
                #expect(full.message == "write \(folder)/old: File too large")
                let fed = Mutex(0)
                let put = Task {
                    try await py.put("/dev/zero", to: "\(folder)/old")
                }
                await #expect(throws: MartletError.self) { try await put.value }
                try write([UInt8](repeating: 7, count: 64 << 20), "\(folder)/large")
                let get = Task {
                    try await py.get("\(folder)/large", to: "\(folder)/old") { count in
                        fed.withLock { $0 = count }
                        withUnsafeCurrentTask { $0?.cancel() }
                    }
                }
                await #expect(throws: (any Error).self) { try await get.value }
                #expect(fed.withLock { $0 } > 0)
                await eventually { names(folder) == ["large", "old"] }
                #expect(bytes("\(folder)/old") == [1])
            }
        }
    }

    @Test(.enabled(if: getuid() == 0, "needs root"), arguments: Interpreters.all)
    func `No stranger gets what is put where others may write, nor a group what it might not read`(
        interpreter: String
    ) async throws {
        try await withFolder { folder async throws in
            try await withPython(interpreter) { py async throws in
                let (theirs, place) = ("\(folder)/theirs", "\(folder)/shared/app.conf")
                try FileManager.default.createDirectory(atPath: "\(folder)/shared", withIntermediateDirectories: true)
                chmod("\(folder)/shared", 0o1777)
                try write([1], theirs)
                chown(theirs, 4321, 4321)
                symlink(theirs, place)
                lchown(place, 4321, 4321)
                func isOurs() -> Bool {
                    var status = stat()
                    return lstat(place, &status) == 0 && status.st_mode == S_IFREG | 0o640 && status.st_uid == 0
                        && status.st_gid == 0 && bytes(place) == [7] && bytes(theirs) == [1]
                }
                try await py.put(bytes: [7], to: place, mode: 0o640)
                #expect(isOurs())
                chown(place, 4321, 4321)
                try await py.put(bytes: [7], to: place, mode: 0o640)
                #expect(isOurs())
                // New files have the folder's group there.
                chown("\(folder)/shared", 0, 2345)
                chmod("\(folder)/shared", 0o2755)
                try await py.put(bytes: [7], to: place)
                #expect(isOurs())
                unlink(place)
                symlink("../theirs", place)
                try await py.put(bytes: [1], to: place)
                #expect(try FileManager.default.destinationOfSymbolicLink(atPath: place) == "../theirs")
            }
        }
    }

    @Test func `What is killed in the middle of a transfer leaves the old file`() async throws {
        try await withFolder { folder async throws in
            try await withPython { py async throws in
                try write([1], "\(folder)/old")
                try write([UInt8](repeating: 7, count: 64 << 20), "\(folder)/large")
                let pid = py.facts.processID
                let error = try await failure {
                    try await py.get("\(folder)/large", to: "\(folder)/old") { _ in kill(pid, SIGKILL) }
                }
                #expect(error.code == .contextLost)
                #expect(bytes("\(folder)/old") == [1])
                #expect(names(folder) == ["large", "old"])
            }
        }
    }

    @Test(arguments: Interpreters.all, [false, true])
    func `A context that is closed, or whose parent is killed, in the middle of a put leaves nothing of it`(
        interpreter: String, isKilled: Bool
    ) async throws {
        try await withFolder { folder async throws in
            try await withMartlet(OutputLog().options) { martlet async throws in
                let parent = try await martlet.connect(.local)
                let py = try await parent.python(.python(interpreter))
                try await py.put(bytes: [1], to: "\(folder)/old")
                let (near, far) = py.makeChannel(of: [UInt8].self)
                let path = PythonValue.bytes(Array("\(folder)/old".utf8))
                let put = Task { try await py.call("!put", far, path, PythonValue.none) }
                try await near.send([2, 3])
                // It has written what has come, and waits for more.
                await eventually { names(folder).contains { bytes("\(folder)/\($0)") == [2, 3] } }
                #expect(names(folder).count == 2)
                if isKilled { kill(parent.facts.processID, SIGKILL) } else { await py.close() }
                await #expect(throws: (any Error).self) { try await put.value }
                await eventually(within: .seconds(20)) {
                    ProcessTable.entry(of: py.facts.processID)?.isZombie != false
                }
                #expect(names(folder) == ["old"] && bytes("\(folder)/old") == [1])
            }
        }
    }

    @Test func `A checksum of parts is that of the whole`() {
        let bytes = makePattern(1000)
        var whole = Checksum()
        whole.add(Array("abc".utf8))
        let digest = whole.trailer().dropFirst(8).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
            .joined()
        #expect(digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        var all = Checksum()
        all.add(bytes)
        for size in [1, 7, 63, 64, 65, 128, 999] {
            var parts = Checksum()
            for at in stride(from: 0, to: 1000, by: size) { parts.add(Array(bytes[at..<min(1000, at + size)])) }
            #expect(parts.trailer() == all.trailer(), "\(size)")
        }
    }
}
