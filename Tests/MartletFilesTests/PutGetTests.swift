import Foundation
import MartletTestKit
import MartletTestSupport
import Synchronization
import Testing

@testable import Martlet

@Suite(.leakChecked) struct PutGetTests {
    @Test(arguments: Way.available)
    func `Files go there and back with their mode, whatever their size and name`(way: Way) async throws {
        try await withFolderAndContext(way) { folder, context async throws in
            for count in [0, 1, 65_535, 65_536, 262_144, 3_000_001] {
                let (here, there, back) = ("\(folder)/here", "\(folder)/there €\n'\"", "\(folder)/back")
                let content = pattern(count)
                Trees.write(here, content, mode: 0o750)
                let put = try await context.put(here, to: there)
                #expect(put.path == Array(there.utf8) && put.byteCount == count && put.fileCount == 1)
                #expect(Trees.bytes(there) == content && Trees.mode(there) == 0o750)
                let get = try await context.get(there, to: back)
                #expect(Trees.bytes(back) == content && Trees.mode(back) == 0o750)
                #expect(get.checksum == put.checksum && get.byteCount == count)
                #expect(try await context.read(there) == content)
            }
            #expect(leftovers(folder) == [])
            let odd = Array("\(folder)/odd-".utf8) + [0xff, 0x01]
            try await context.put(bytes: [1, 2, 3], to: odd)
            #expect(try await context.read(odd) == [1, 2, 3])
            try await context.get(odd, to: "\(folder)/plain")
            #expect(Trees.bytes("\(folder)/plain") == [1, 2, 3])
        }
    }

    @Test func `Bytes and streams become files, with the mode that is there, or given, or left by the umask`()
        async throws
    {
        try await withFolderAndContext { folder, context async throws in
            let path = "\(folder)/file"
            let mask = umask(0)
            umask(mask)
            try await context.put(bytes: pattern(700_000), to: path)
            #expect(Trees.bytes(path) == pattern(700_000) && Trees.mode(path) == UInt32(0o666 & ~mask))
            var options = TransferOptions()
            options.mode = 0o4711
            try await context.put(bytes: [1], to: path, options: options)
            #expect(Trees.bytes(path) == [1] && Trees.mode(path) == 0o4711)
            chmod(path, 0o604)
            let chunks = AsyncStream<[UInt8]> { stream in
                for size in [0, 1, 700_000, 0, 5] { stream.yield(pattern(size)) }
                stream.finish()
            }
            let result = try await context.put(chunks: chunks, to: path)
            #expect(result.byteCount == 700_006)
            #expect(Trees.bytes(path) == pattern(1) + pattern(700_000) + pattern(5) && Trees.mode(path) == 0o604)
            let broken = AsyncThrowingStream<[UInt8], any Error> { stream in
                stream.yield([9])
                stream.finish(throwing: PlainError(text: "enough"))
            }
            await #expect(throws: PlainError.self) { try await context.put(chunks: broken, to: path) }
            #expect(try await context.read(path).count == 700_006)
            await eventually { leftovers(folder) == [] }
        }
    }

    @Test func `A folder as the destination takes the file in, a link stays, and the kernel's files are read whole`()
        async throws
    {
        try await withFolderAndContext { folder, context async throws in
            Trees.write("\(folder)/a.conf", [1], mode: 0o600, modified: 1_000_000_000)
            Trees.makeFolder("\(folder)/etc")
            #expect(
                try await context.put("\(folder)/a.conf", to: "\(folder)/etc").path
                    == Array("\(folder)/etc/a.conf".utf8))
            try await context.put("\(folder)/a.conf", to: "\(folder)/etc/")
            #expect(Trees.names("\(folder)/etc") == ["a.conf"])
            symlink("a.conf", "\(folder)/link")
            try await context.put(bytes: [2, 2], to: "\(folder)/link")
            #expect(
                Trees.bytes("\(folder)/a.conf") == [2, 2] && Trees.status("\(folder)/link")!.st_mode & S_IFMT == S_IFLNK
            )
            try await context.get("\(folder)/etc/a.conf", to: "\(folder)/link")
            #expect(Trees.bytes("\(folder)/a.conf") == [1])
            #expect(try await context.read("/proc/version") == Trees.bytes("/proc/version"))
            try await context.get("/proc/self/cmdline", to: "\(folder)/cmdline")
            #expect(Trees.bytes("\(folder)/cmdline")!.count > 0)
            var options = TransferOptions()
            options.preservesTimes = true
            options.createsParents = true
            Trees.touch("\(folder)/a.conf", 1_000_000_001, nanoseconds: 5)
            try await context.put("\(folder)/a.conf", to: "\(folder)/new/and/b", options: options)
            let status = try #require(try await context.status("\(folder)/new/and/b"))
            #expect(status.modified == .seconds(1_000_000_001) + .nanoseconds(5))
            #expect(status.kind == .file && status.byteCount == 1 && status.mode == 0o600 && status.userID == getuid())
            #expect(try await context.status("\(folder)/link")?.kind == .file)
            #expect(try await context.status("\(folder)/link", followsLinks: false)?.kind == .link)
            #expect(try await context.status("\(folder)/etc")?.kind == .directory)
            #expect(try await context.status("/dev/null")?.kind == .other)
            #expect(try await context.status("\(folder)/none") == nil)
            #expect(try await context.status("\(folder)/a.conf/x") == nil)
        }
    }

    @Test func `An error has the path, the reason and the route, and both files are as they were`() async throws {
        try await withFolderAndContext { folder, context async throws in
            let (here, there) = ("\(folder)/here", "\(folder)/there")
            Trees.write(here, [1, 2, 3])
            Trees.write(there, [4, 5])
            let missing = await failure { try await context.get("\(folder)/none", to: here) }
            #expect(missing?.message == "read \(folder)/none: No such file or directory")
            #expect(missing?.code == .fileFailed && missing?.route == context.route)
            let noFolder = await failure { try await context.put(here, to: "\(folder)/none/x") }
            #expect(noFolder?.message == "write \(folder)/none/x: No such file or directory")
            #expect(
                noFolder?.advice == "make the folder \(folder)/none first, or have it made: createsParents")
            let near = await failure { try await context.put("\(folder)/none", to: there) }
            #expect(near?.message == "read \(folder)/none here: No such file or directory")
            let back = await failure { try await context.get(there, to: "\(folder)/none/x") }
            #expect(back?.message == "write \(folder)/none/x here: No such file or directory")
            let device = await failure { try await context.put(here, to: "/dev/full") }
            #expect(device?.message == "write /dev/full: it is no regular file")
            let onFolder = await failure { try await context.put(bytes: [1], to: folder) }
            #expect(onFolder?.message == "write \(folder): Is a directory")
            let null = await failure { _ = try await context.read("/dev/null") }
            #expect(null?.message.hasSuffix("nor a folder") == true)
            let ofFolder = await failure { _ = try await context.read(folder) }
            #expect(ofFolder?.message == "this is a folder: copy it with get")
            let tooLarge = await failure { _ = try await context.read(there, limit: 1) }
            #expect(tooLarge?.code == .limitExceeded)
            var options = TransferOptions()
            options.overwrite = .never
            let taken = await failure { try await context.put(here, to: there, options: options) }
            #expect(taken?.code == .fileExists)
            let takenByBytes = await failure { try await context.put(bytes: [9], to: there, options: options) }
            #expect(takenByBytes?.code == .fileExists)
            let takenHere = await failure { try await context.get(there, to: here, options: options) }
            #expect(takenHere?.code == .fileExists)
            options.overwrite = .always
            options.owner = FileOwner(user: "nobody-of-this-name")
            let owner = await failure { try await context.put(here, to: there, options: options) }
            #expect(owner?.message == "there is no user \"nobody-of-this-name\" in /etc/passwd")
            #expect(Trees.bytes(here) == [1, 2, 3] && Trees.bytes(there) == [4, 5])
            #expect(Trees.names(folder) == ["here", "there"])
        }
    }

    @Test func `What is overwritten is as the policy says`() async throws {
        try await withFolderAndContext { folder, context async throws in
            let (here, there) = ("\(folder)/here", "\(folder)/there")
            var options = TransferOptions()
            options.preservesTimes = true
            func count(_ overwrite: TransferOptions.Overwrite) async throws -> Int {
                var options = options
                options.overwrite = overwrite
                return try await context.put(here, to: there, options: options).fileCount
            }
            Trees.write(here, [1, 2], modified: 1000)
            Trees.write(there, [3, 4], modified: 2000)
            #expect(try await count(.ifNewer) == 0)
            #expect(try await count(.ifDifferent) == 1)
            #expect(Trees.bytes(there) == [1, 2])
            Trees.touch(there, 5)
            #expect(try await count(.ifDifferent) == 0)
            Trees.write(here, [5, 6], modified: 3000)
            #expect(try await count(.ifNewer) == 1)
            #expect(Trees.bytes(there) == [5, 6])
            #expect(try await count(.always) == 1)
            options.overwrite = .ifDifferent
            #expect(try await context.put(bytes: [5, 6], to: there, options: options).fileCount == 0)
            #expect(try await context.put(bytes: [5, 7], to: there, options: options).fileCount == 1)
            #expect(try await context.get(there, to: here, options: options).fileCount == 1)
            #expect(try await context.get(there, to: here, options: options).fileCount == 0)
        }
    }

    @Test(.enabled(if: getuid() == 0, "needs root"))
    func `The owner is the one that was there, or the one that is given`() async throws {
        try await withFolderAndContext { folder, context async throws in
            let (here, there) = ("\(folder)/here", "\(folder)/there")
            Trees.write(here, [1])
            Trees.write(there, [2])
            chown(there, 1234, 2345)
            try await context.put(here, to: there)
            #expect(Trees.status(there)?.st_uid == 1234 && Trees.status(there)?.st_gid == 2345)
            var options = TransferOptions()
            options.owner = FileOwner(user: "nobody", group: "77")
            try await context.put(here, to: there, options: options)
            #expect(Trees.status(there)?.st_uid == 65534 && Trees.status(there)?.st_gid == 77)
            options.owner = nil
            options.preservesOwner = true
            chown(here, 5, 6)
            chmod(here, 0o4755)
            try await context.put(here, to: there, options: options)
            #expect(Trees.status(there)?.st_uid == 5 && Trees.status(there)?.st_gid == 6 && Trees.mode(there) == 0o4755)
            options.preservesOwner = false
            try await context.put(here, to: there, options: options)
            #expect(Trees.mode(there) == 0o755)
        }
    }

    @Test(.enabled(if: getuid() == 0, "needs root"))
    func `Where others may write no stranger's link is followed, and no stranger's file keeps its owner`() async throws
    {
        try await withFolderAndContext { folder, context async throws in
            let (secret, theirs, shared) = ("\(folder)/app.conf", "\(folder)/theirs", "\(folder)/shared")
            let place = "\(shared)/app.conf"
            Trees.write(secret, [7], mode: 0o600)
            Trees.write(theirs, [1], mode: 0o666)
            chown(theirs, 4321, 4321)
            Trees.makeFolder(shared)
            func link(_ owner: UInt32) {
                unlink(place)
                symlink(theirs, place)
                lchown(place, owner, owner)
            }
            func isOurs() -> Bool {
                let status = Trees.status(place)
                return status?.st_mode == S_IFREG | 0o600 && status?.st_uid == 0 && status?.st_gid == 0
                    && Trees.bytes(place) == [7] && Trees.bytes(theirs) == [1]
            }
            for mode: UInt32 in [0o1777, 0o777, 0o1775] {
                chmod(shared, mode)
                link(4321)
                try await context.put(secret, to: "\(shared)/")
                #expect(isOurs())
                link(4321)
                let file = try FileTarget(Array(place.utf8))
                try file.write([7])
                try file.commit(mode: 0o600)
                #expect(isOurs())
                for destination in [shared, place] {
                    Trees.write(place, [2], mode: 0o666)
                    chown(place, 4321, 4321)
                    try await context.put(secret, to: destination)
                    #expect(isOurs())
                }
                chmod(place, 0o666)
                chown(place, 4321, 4321)
                try await context.put(bytes: [7], to: place)
                #expect(isOurs())
            }
            // Ours, and the folder's owner's, who could do as much without it.
            chmod(shared, 0o1777)
            chown(shared, 4322, 4322)
            for owner: UInt32 in [0, 4322] {
                link(owner)
                try await context.put(bytes: [UInt8(owner & 0xff)], to: place)
                #expect(
                    Trees.status(place)!.st_mode & S_IFMT == S_IFLNK && Trees.bytes(theirs) == [UInt8(owner & 0xff)])
                #expect(Trees.status(theirs)?.st_uid == 4321)
            }
            // Where only its owner may write, it is for that one to say.
            chmod(shared, 0o755)
            link(4321)
            try await context.put(secret, to: "\(shared)/")
            #expect(Trees.bytes(theirs) == [7] && Trees.status(theirs)?.st_uid == 4321)
        }
    }

    @Test(.enabled(if: getuid() == 0, "needs root and another user"))
    func `Nobody may read what replaces a file who might not read that`() async throws {
        try await TestFolder.with(permissions: 0o777) { folder async throws in
            chmod(folder.path, 0o777)
            try await withLocalContext { martlet, context async throws in
                let nobody = try await context.connect(.sudo(user: "nobody"))
                let (here, there) = (folder.file("db.conf"), folder.file("www/db.conf"))
                Trees.makeFolder(folder.file("www"))
                chown(folder.file("www"), 65534, 2345)
                chmod(folder.file("www"), 0o2775)
                // New files have the folder's group there.
                Trees.write(here, [1], mode: 0o640)
                Trees.write(there, [2], mode: 0o640)
                chown(there, 0, 0)
                try await context.put(here, to: there)
                #expect(Trees.status(there)?.st_gid == 0 && Trees.mode(there) == 0o640)
                // The group is not ours to give.
                for (old, new, wanted): (UInt32, UInt32, UInt32) in [
                    (0o640, 0o644, 0o604), (0o644, 0o664, 0o644), (0o666, 0o660, 0o660),
                ] {
                    chmod(here, new)
                    Trees.write(there, [2], mode: old)
                    chown(there, 65534, 3456)
                    try await nobody.put(here, to: there)
                    #expect(Trees.bytes(there) == [1] && Trees.status(there)?.st_gid == 2345)
                    #expect(Trees.mode(there) == wanted)
                }
                // Only the user was given: the group stays.
                var options = TransferOptions()
                options.owner = FileOwner(user: "7")
                chown(there, 65534, 3456)
                try await context.put(here, to: there, options: options)
                #expect(Trees.status(there)?.st_uid == 7 && Trees.status(there)?.st_gid == 3456)
            }
        }
    }

    @Test func `Progress can be looped over, and ends with the transfer`() async throws {
        try await withFolderAndContext { folder, context async throws in
            Trees.write("\(folder)/here", pattern(2_000_000))
            let (updates, report) = TransferProgress.makeStream()
            async let put = context.put("\(folder)/here", to: "\(folder)/there", onProgress: report)
            var all: [TransferProgress] = []
            for await progress in updates { all.append(progress) }
            _ = try await put
            #expect(
                all.last?.byteCount == 2_000_000 && all.last?.isFinished == true && all.last?.totalBytes == 2_000_000)
            #expect(all.map(\.byteCount) == all.map(\.byteCount).sorted())
            let seen = Mutex<[TransferProgress]>([])
            try await context.get("\(folder)/there", to: "\(folder)/back") { progress in
                seen.withLock { $0.append(progress) }
            }
            let last = try #require(seen.withLock { $0.last })
            #expect(last.isFinished && last.byteCount == 2_000_000 && last.totalFiles == 1 && last.fileCount == 1)
            _ = await failure {
                try await context.get("\(folder)/none", to: "\(folder)/back") { progress in
                    seen.withLock { $0 = [progress] }
                }
            }
            #expect(seen.withLock { $0.last?.isFinished } == true)
        }
    }

    @Test func `Holes stay holes`() async throws {
        try await withFolderAndContext { folder, context async throws in
            let (here, there, back) = ("\(folder)/here", "\(folder)/there", "\(folder)/back")
            let size = 200 << 20
            Trees.write(here, [])
            #expect(truncate(here, off_t(size)) == 0)
            let file = try #require(FileHandle(forUpdatingAtPath: here))
            for offset in [0, 1 << 20, 100 << 20] {
                try file.seek(toOffset: UInt64(offset))
                try file.write(contentsOf: Data(pattern(5000)))
            }
            try file.close()
            let moved = context.linkTraffic.sent
            let put = try await context.put(here, to: there)
            #expect(put.byteCount == size && context.linkTraffic.sent - moved < 1 << 20)
            let get = try await context.get(there, to: back)
            #expect(get.checksum == put.checksum)
            for path in [there, back] {
                let status = try #require(Trees.status(path))
                #expect(status.st_size == off_t(size) && status.st_blocks * 512 < 1 << 20)
            }
            let read = try #require(FileHandle(forReadingAtPath: back))
            try read.seek(toOffset: 100 << 20)
            #expect(try read.read(upToCount: 5001).map { Array($0) } == pattern(5000) + [0])
            try read.close()
        }
    }
}
