import Foundation
import Testing

@testable import Martlet

/// What a transfer is made of, without any context.
@Suite struct PartsTests {
    @Test func `The checksum is XXH64, in parts as in one`() {
        func checksum(_ bytes: [UInt8], by size: Int = .max) -> UInt64 {
            var checksum = FileChecksum()
            var rest = bytes[...]
            while !rest.isEmpty {
                rest.prefix(size).withUnsafeBytes { checksum.add($0) }
                rest = rest.dropFirst(size)
            }
            return checksum.value
        }
        #expect(checksum([]) == 0xef46_db37_51d8_e999)
        #expect(checksum(Array("a".utf8)) == 0xd24e_c4f1_a98c_6e5b)
        #expect(checksum(Array("abc".utf8)) == 0x44bc_2cf5_ad77_0999)
        #expect(checksum(Array("Nobody inspects the spammish repetition".utf8)) == 0xfbce_a83c_8a37_8bf1)
        let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        for size in [1, 3, 8, 31, 32, 33, 64, 999] { #expect(checksum(bytes, by: size) == checksum(bytes), "\(size)") }
        var zeros = FileChecksum()
        zeros.add(zeros: 10_001)
        #expect(zeros.value == checksum([UInt8](repeating: 0, count: 10_001)) && zeros.count == 10_001)
    }

    @Test(arguments: [
        ("*.o", "a.o", false, true), ("*.o", "sub/a.o", false, true), ("*.o", "a.c", false, false),
        ("/a.o", "a.o", false, true), ("/a.o", "sub/a.o", false, false), ("build/", "build", true, true),
        ("build/", "build", false, false), ("sub/*.o", "x/sub/a.o", false, true),
        ("sub/*.o", "sub/y/a.o", false, false),
        ("sub/**.o", "sub/y/a.o", false, true), ("/**/a", "x/y/a", false, true), ("a?c", "abc", false, true),
        ("a?c", "a/c", false, false), ("[a-c]x", "bx", false, true), ("[!a-c]x", "bx", false, false),
        ("[]x]", "]", false, true), ("[", "[", false, true), ("\\*", "*", false, true), ("\\*", "a", false, false),
        ("*a*b*c", "xaxbxc", false, true), ("*a*b*c", "xaxcxb", false, false), ("**/x*y", "a/xz/xy", false, true),
        ("", "a", false, false),
    ])
    func `Filters mean what rsync's do`(pattern: String, path: String, isFolder: Bool, isMatch: Bool) {
        #expect(FileFilter.exclude(pattern).matches(Array(path.utf8), isFolder: isFolder) == isMatch)
    }

    @Test func `The first filter that matches decides`() {
        let filters: [FileFilter] = [.include("keep.o"), .exclude("*.o")]
        #expect(FileFilter.includes(Array("keep.o".utf8), isFolder: false, filters))
        #expect(!FileFilter.includes(Array("a.o".utf8), isFolder: false, filters))
        #expect(FileFilter.includes(Array("a.c".utf8), isFolder: false, filters))
    }

    @Test func `No filter takes long`() {
        let filter = FileFilter.exclude(
            String(repeating: "*a", count: 30) + "**" + String(repeating: "*b", count: 30) + "c")
        #expect(!filter.matches([UInt8](repeating: 97, count: 200), isFolder: false))
    }

    @Test func `A manifest gives back what was put in`() throws {
        let manifest = Manifest()
        var entries = [
            FileEntry(kind: .folder, name: [1], mode: 0o755, user: 1, group: .max, seconds: -5, nanoseconds: 7)
        ]
        for number in 0..<5000 {
            entries.append(
                FileEntry(
                    kind: .file, name: Array("file \(number)".utf8), mode: number % 3 == 0 ? nil : 0o600,
                    seconds: Int64(number) << 20, size: number << 30, checksum: number % 2 == 0 ? UInt64(number) : nil))
        }
        entries.append(FileEntry(kind: .link, name: [0xff], target: Array("../x".utf8)))
        entries.append(FileEntry(kind: .leave, isIncomplete: true))
        for entry in entries { try manifest.add(entry) }
        var cursor = ManifestCursor()
        for (number, wanted) in entries.enumerated() {
            let entry = try #require(try cursor.next(manifest))
            #expect(entry.index == number && entry.kind == wanted.kind && entry.name == wanted.name)
            #expect(entry.mode == wanted.mode && entry.size == wanted.size && entry.checksum == wanted.checksum)
            #expect(entry.seconds == wanted.seconds && entry.group == wanted.group && entry.target == wanted.target)
            #expect(entry.isIncomplete == wanted.isIncomplete)
        }
        #expect(try cursor.next(manifest) == nil)
        #expect(cursor.isAtEnd && manifest.count == 5002 && manifest.fileCount == 5000)
    }
}

extension PartsTests {
    @Test func `A mode has twelve bits, whatever is given`() throws {
        var options = TransferOptions()
        options.mode = .max
        var packed = PackedBytes()
        options.wire.pack(into: &packed)
        #expect(try packed.bytes.unpacked { reader throws(MartletError) in try FileOptions(&reader) }.mode == 0o7777)
    }

    @Test func `Only who has the same parts of what both want goes on together`() {
        func wanted(_ indices: [Int], _ parts: [Int: Int]) -> WantedFiles {
            var files = WantedFiles()
            for index in indices { files[index] = true }
            files.parts = parts.mapValues { WantedFiles.Part(count: $0, checksum: 7) }
            return files
        }
        var files = wanted([1, 2], [1: 5])
        for other in [wanted([1, 2], [:]), wanted([1], [1: 4]), wanted([1, 2], [1: 5, 2: 1])] {
            #expect(!files.agrees(with: other) && !other.agrees(with: files))
        }
        for other in [wanted([2], [:]), wanted([1, 3], [1: 5, 3: 9])] {
            #expect(files.agrees(with: other) && other.agrees(with: files))
            files.formUnion(other)
        }
        #expect((0...4).map { files[$0] } == [false, true, true, true, false])
        #expect(files.parts == wanted([], [1: 5, 3: 9]).parts)
    }
}

/// What a hostile far side may send.
@Suite struct HostileTreeTests {
    private func withTarget(_ options: FileOptions = FileOptions(), _ body: (TreeTarget, String) throws -> Void) throws
    {
        let folder = FileManager.default.temporaryDirectory.appending(path: "martlet-hostile-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: "\(folder)/target", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        Trees.write("\(folder)/precious", [1])
        try body(try TreeTarget(Array("\(folder)/target".utf8), options, isHere: true), folder)
    }

    private func piece(_ entries: [FileEntry]) throws -> ArraySlice<UInt8> {
        let manifest = Manifest()
        for entry in entries { try manifest.add(entry) }
        return manifest.pieces.flatMap { $0 }[...]
    }

    private func contents(_ records: [[UInt8]]) -> [UInt8] { [TreeItem.contents] + records.flatMap { $0 } }
    private func data(_ bytes: [UInt8]) -> [UInt8] { [ContentRecord.data, UInt8(bytes.count), 0, 0, 0] + bytes }

    @Test(arguments: ["..", ".", "", "a/b", "../precious", "/etc/passwd", "a\0b"])
    func `A name that leads elsewhere is no name`(name: String) throws {
        for kind in [FileEntry.Kind.file, .folder, .link] {
            try withTarget { target, folder throws in
                let entry = FileEntry(kind: kind, name: Array(name.utf8), target: [97])
                let all = try piece([FileEntry(kind: .folder, name: [97]), entry])
                #expect(throws: MartletError.self) { try target.add(piece: all) }
                #expect(Trees.names(folder) == ["precious", "target"] && Trees.names("\(folder)/target") == [])
            }
            // The root's own name counts where it is taken over.
            try withTarget { target, folder throws in
                let entry = FileEntry(kind: kind, name: Array(name.utf8), target: [97])
                let all = try piece(kind == .folder ? [entry, FileEntry(kind: .leave)] : [entry])
                #expect(throws: MartletError.self) { try target.add(piece: all) }
                #expect(Trees.bytes("\(folder)/precious") == [1])
            }
        }
    }

    @Test func `A root of another name than was asked for, or that is a link, is refused`() throws {
        for entry in [FileEntry(kind: .file, name: [98]), FileEntry(kind: .link, name: [97], target: [98])] {
            try withTarget { target, folder throws in
                target.expectedName = [97]
                let all = try piece([entry])
                #expect(throws: MartletError.self) { try target.add(piece: all) }
                #expect(Trees.names("\(folder)/target") == [])
            }
        }
    }

    @Test(arguments: [0, 1 << 20]) func `A name that was taken meanwhile stays taken`(size: Int) throws {
        try withTarget { _, folder throws in
            let directory = open("\(folder)/target", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            defer { close(directory) }
            do {
                let file = try FileTarget(in: directory, [97], [97], expecting: size)
                try file.write([9])
                Trees.write("\(folder)/target/a", [1])
                #expect(throws: FileError.self) { try file.commit(mode: nil, isDurable: false, replaces: false) }
            }
            #expect(Trees.bytes("\(folder)/target/a") == [1])
            #expect(Trees.names("\(folder)/target") == ["a"])
            let second = try FileTarget(in: directory, [98], [98], expecting: size)
            try second.write([9])
            try second.commit(mode: nil, isDurable: false, replaces: false)
            #expect(Trees.names("\(folder)/target") == ["a", "b"])
        }
    }

    @Test func `No link that was sent is followed, nor one that came meanwhile`() throws {
        var options = FileOptions()
        options.flags = [.isExact]
        try withTarget(options) { target, folder throws in
            let all = try piece([
                FileEntry(kind: .folder, name: [97]), FileEntry(kind: .link, name: [98], target: Array(folder.utf8)),
                FileEntry(kind: .folder, name: [98], mode: 0o777),
                FileEntry(kind: .file, name: Array("precious".utf8), mode: 0o666, size: 1), FileEntry(kind: .leave),
                FileEntry(kind: .folder, name: [99], mode: 0o700),
                FileEntry(kind: .file, name: Array("precious".utf8), mode: 0o666, size: 1), FileEntry(kind: .leave),
                FileEntry(kind: .leave),
            ])
            try target.add(piece: all)
            try target.endPlan()
            symlink(folder, "\(folder)/target/c")
            let file: (UInt8) -> [UInt8] = { [ContentRecord.file, $0, 0] }
            var checksum = FileChecksum()
            [UInt8]([9]).withUnsafeBytes { checksum.add($0) }
            var end = PackedBytes(bytes: [ContentRecord.end])
            end.add(fixed: checksum.value)
            try target.work.take(
                contents([file(3), data([9]), end.bytes, file(5), data([9]), end.bytes, [ContentRecord.done]]), from: 1)
            #expect(Trees.bytes("\(folder)/precious") == [1])
            #expect(target.report.fileCount == 0 && target.report.failures.count >= 2, "\(target.report.failures)")
            #expect(Trees.names(folder) == ["precious", "target"])
        }
    }

    /// A folder with files of one byte, named from `b` on, and what is sent of them.
    private func take(
        _ files: Int, _ records: [[UInt8]], _ flags: FileOptions.Flags = [], _ prepare: (String) -> Void = { _ in },
        _ body: (TreeTarget, String, MartletError?) throws -> Void
    ) throws {
        var options = FileOptions()
        options.flags = flags.union(.isExact)
        try withTarget(options) { target, folder throws in
            prepare("\(folder)/target")
            let names = (0..<files).map { FileEntry(kind: .file, name: [98 + UInt8($0)], mode: 0o600, size: 1) }
            try target.add(
                piece: try piece(
                    [FileEntry(kind: .folder, name: [97], mode: 0o755)] + names + [FileEntry(kind: .leave)]))
            try target.endPlan()
            var failure: MartletError?
            do throws(MartletError) { try target.work.take(contents(records), from: 1) } catch { failure = error }
            try body(target, "\(folder)/target", failure)
        }
    }

    private func end(_ bytes: [UInt8]) -> [UInt8] {
        var checksum = FileChecksum()
        bytes.withUnsafeBytes { checksum.add($0) }
        var end = PackedBytes(bytes: [ContentRecord.end])
        end.add(fixed: checksum.value)
        return end.bytes
    }

    private func failed(_ index: Int) -> [UInt8] {
        var failed = PackedBytes(bytes: [ContentRecord.failed])
        failed.add(index)
        failed.add("it has vanished")
        return failed.bytes
    }

    @Test func `Nothing is over while a file is open or has not come`() throws {
        let file: (UInt8) -> [[UInt8]] = { [[ContentRecord.file, $0, 0], self.data([9])] }
        let done = [[ContentRecord.done]]
        for records in [file(1) + done, done, file(1) + file(2) + [end([9])] + done, file(1) + [failed(2)] + done] {
            try take(2, records) { target, folder, failure in
                #expect(failure?.code == .protocolViolation && !target.work.isDone, "\(records)")
                #expect(Trees.names(folder) == [] && target.report.fileCount == 0)
            }
        }
        try take(2, file(1) + [end([9])] + done) { target, _, failure in
            #expect(failure?.code == .protocolViolation && !target.work.isDone)
        }
        try take(3, file(1) + [end([9])] + file(2) + [failed(2), failed(3)] + done) { target, folder, failure in
            #expect(failure == nil && target.work.isDone && Trees.names(folder) == ["b"])
            #expect(target.report.failures.map(\.description) == ["c: it has vanished", "d: it has vanished"])
        }
    }

    @Test func `A folder stays until the file that replaces it is whole`() throws {
        func prepare(_ folder: String) {
            Trees.makeFolder("\(folder)/b")
            Trees.write("\(folder)/b/x", [1])
        }
        let begin: [[UInt8]] = [[ContentRecord.file, 1, 0], data([9])]
        for records in [begin, begin + [failed(1), [ContentRecord.done]], begin + [end([8]), [ContentRecord.done]]] {
            try take(1, records, [.isSync, .deletes], prepare) { target, folder, failure in
                #expect(failure == nil && Trees.bytes("\(folder)/b/x") == [1], "\(records)")
                #expect(target.report.fileCount == 0)
            }
        }
        try take(1, begin + [end([9]), [ContentRecord.done]], [.isSync, .deletes], prepare) { target, folder, failure in
            #expect(failure == nil && target.report.failures == [] && Trees.bytes("\(folder)/b") == [9])
        }
    }

    @Test func `What was not asked for, what is torn and what never ends is refused`() throws {
        let entries = [FileEntry(kind: .file, name: [97], mode: 0o600, size: 1)]
        for records in [
            [[ContentRecord.file, 5, 0]], [[ContentRecord.data, 200, 0, 0, 0, 1]], [[99]], [[ContentRecord.file]],
            [[ContentRecord.file, 0, 7]], [[ContentRecord.done], [ContentRecord.done]],
            [[ContentRecord.file, 0, 0], data([1]), [ContentRecord.end, 1, 2, 3, 4, 5, 6, 7, 8]],
            [[ContentRecord.file, 0, 0], [ContentRecord.hole, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
            [[ContentRecord.file, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
        ] {
            try withTarget { target, folder throws in
                try target.add(piece: try piece(entries))
                try target.endPlan()
                var isRefused = false
                do throws(MartletError) { try target.work.take(contents(records), from: 1) } catch { isRefused = true }
                // A file that nobody wants is read over.
                #expect(isRefused || records[0] == [ContentRecord.file, 5, 0], "\(records)")
                #expect(Trees.names("\(folder)/target").allSatisfy { $0.hasPrefix(".a.martlet") })
            }
        }
        try withTarget { target, _ throws in
            let deep = try piece([FileEntry](repeating: FileEntry(kind: .folder, name: [97]), count: 300))
            #expect(throws: MartletError.self) { try target.add(piece: deep) }
        }
        try withTarget { target, _ throws in
            #expect(throws: MartletError.self) { try target.add(piece: [0]) }
            #expect(throws: MartletError.self) { try target.endPlan() }
        }
        for _ in 0..<2000 {
            try withTarget { target, folder throws in
                let bytes = (0..<Int.random(in: 1...60)).map { _ in UInt8.random(in: 0...255) }
                try? target.add(piece: bytes[...])
                if (try? target.endPlan()) != nil { try? target.work.take([2] + bytes, from: 1) }
                #expect(Trees.bytes("\(folder)/precious") == [1])
            }
        }
    }
}
