import Foundation
import MartletTestKit
import MartletTestSupport
import Synchronization
import Testing

@testable import Martlet

@Suite(.leakChecked) struct TreeTests {
    @Test(arguments: Way.available)
    func `A tree goes there and back with all that is in it`(way: Way) async throws {
        try await withFolderAndContext(way) { folder, context async throws in
            Trees.make("\(folder)/tree")
            Trees.makeFolder("\(folder)/into")
            let put = try await context.put("\(folder)/tree", to: "\(folder)/into")
            #expect(put.path == Array("\(folder)/into/tree".utf8) && put.fileCount == 7 && put.checksum == nil)
            let wanted = Trees.all("\(folder)/tree")
            #expect(wanted.count == 13)
            #expect(Trees.all("\(folder)/into/tree") == wanted)
            // A new name, and what is in it.
            try await context.put("\(folder)/tree", to: "\(folder)/as")
            #expect(Trees.all("\(folder)/as") == wanted)
            try await context.put("\(folder)/tree/", to: "\(folder)/into")
            #expect(Trees.all("\(folder)/into").count == 2 * wanted.count + 1)
            let get = try await context.get("\(folder)/into/tree", to: "\(folder)/back")
            #expect(Trees.all("\(folder)/back") == wanted && get.fileCount == 7 && get.byteCount == put.byteCount)
            Trees.makeFolder("\(folder)/here")
            try await context.get("\(folder)/into/tree/", to: "\(folder)/here")
            #expect(Trees.all("\(folder)/here") == wanted)
        }
    }

    @Test func `Folders that may only be read are copied, and become so`() async throws {
        try await withFolderAndContext { folder, context async throws in
            defer { Trees.remove("\(folder)/tree") }
            defer { Trees.remove("\(folder)/back") }
            Trees.make("\(folder)/tree")
            for name in ["sub/deep", "sub", ""] { chmod("\(folder)/tree/\(name)", 0o555) }
            try await context.put("\(folder)/tree", to: "\(folder)/back")
            #expect(Trees.all("\(folder)/back") == Trees.all("\(folder)/tree") && Trees.mode("\(folder)/back") == 0o555)
            // Again, into what is read-only now.
            try await context.put("\(folder)/tree/", to: "\(folder)/back")
            #expect(Trees.all("\(folder)/back") == Trees.all("\(folder)/tree"))
        }
    }

    @Test func `What is there and not in the source stays, and what is of another kind is told`() async throws {
        try await withFolderAndContext { folder, context async throws in
            let (tree, there) = ("\(folder)/tree", "\(folder)/there")
            for path in [tree, "\(tree)/a", "\(tree)/b", there, "\(there)/c", "\(there)/real"] { Trees.makeFolder(path) }
            Trees.write("\(tree)/a/x", [1])
            Trees.write("\(tree)/b/x", [2])
            Trees.write("\(tree)/c", [3])
            Trees.write("\(tree)/d", [4])
            symlink("real", "\(there)/a")
            Trees.write("\(there)/b", [5])
            Trees.write("\(there)/stays", [6])
            let error = await failure { try await context.put("\(tree)/", to: there) }
            #expect(error?.code == .fileFailed)
            #expect(
                error?.detail == """
                    a: a link is there, where a folder is to be
                    b: a file is there, where a folder is to be
                    c: a folder is there
                    """)
            #expect(Trees.bytes("\(there)/d") == [4] && Trees.bytes("\(there)/b") == [5] && Trees.bytes("\(there)/stays") == [6])
            #expect(Trees.names("\(there)/real") == [] && leftovers(there) == [])
        }
    }

    @Test func `Links are followed on request, but not in circles`() async throws {
        try await withFolderAndContext { folder, context async throws in
            Trees.makeFolder("\(folder)/tree")
            Trees.makeFolder("\(folder)/tree/sub")
            Trees.makeFolder("\(folder)/elsewhere")
            Trees.write("\(folder)/elsewhere/file", [1, 2])
            symlink("../elsewhere", "\(folder)/tree/folder")
            symlink("../elsewhere/file", "\(folder)/tree/file")
            symlink("nowhere", "\(folder)/tree/dangling")
            var options = TransferOptions()
            options.followsLinks = true
            try await context.put("\(folder)/tree", to: "\(folder)/there", options: options)
            let found = Trees.all("\(folder)/there", hasModes: false)
            #expect(found[Array("folder/file".utf8)]?.content == [1, 2] && found[Array("file".utf8)]?.kind == "file")
            #expect(found[Array("dangling".utf8)]?.kind == "link")
            symlink("..", "\(folder)/tree/sub/circle")
            let error = await failure { try await context.get("\(folder)/tree", to: "\(folder)/back", options: options) }
            #expect(error?.detail == "sub/circle: the link leads to a folder that it is in")
            #expect(Trees.bytes("\(folder)/back/folder/file") == [1, 2])
        }
    }

    @Test(arguments: [true, false])
    func `What cannot be read or has vanished is told, and the rest is copied`(isPut: Bool) async throws {
        try await withFolderAndContext { folder, context async throws in
            let tree = "\(folder)/tree"
            Trees.make(tree)
            mkfifo("\(tree)/pipe", 0o600)
            let count = 40
            for number in 0..<count { Trees.write("\(tree)/z\(number)", pattern(200_000)) }
            let isFirst = Mutex(true)
            // While the first is on its way others go and change.
            let onProgress: @Sendable (TransferProgress) -> Void = { progress in
                guard isFirst.withLock({ first in defer { first = false }; return first }) else { return }
                unlink("\(tree)/z8")
                truncate("\(tree)/z9", 100)
            }
            let error = await failure {
                if isPut {
                    try await context.put(tree, to: "\(folder)/there", onProgress: onProgress)
                } else {
                    try await context.get(tree, to: "\(folder)/there", onProgress: onProgress)
                }
            }
            #expect(error?.message.hasSuffix("of its files could not be copied, all others were") == true, "\(error as Any)")
            let lines = Set((error?.detail ?? "").split(separator: "\n").map(String.init))
            #expect(lines.contains("pipe: it is neither a regular file, a folder nor a link"), "\(lines)")
            #expect(lines.contains("z8: it has vanished"), "\(lines)")
            unlink("\(tree)/pipe")
            Trees.remove("\(folder)/there/z9")
            unlink("\(tree)/z9")
            #expect(Trees.all("\(folder)/there") == Trees.all(tree))
        }
    }

    @Test(.enabled(if: getuid() == 0, "needs root and another user"))
    func `Through another user's context it is that user's rights that count`() async throws {
        try await TestFolder.with(permissions: 0o777) { folder async throws in
            chmod(folder.path, 0o777)
            try await withLocalContext { martlet, context async throws in
                let nobody = try await context.connect(.sudo(user: "nobody"))
                Trees.makeFolder(folder.file("tree"))
                Trees.write(folder.file("tree/secret"), [1], mode: 0o600)
                Trees.write(folder.file("tree/open"), [2])
                let error = await failure { try await nobody.get(folder.file("tree"), to: folder.file("back")) }
                #expect(error?.detail == "secret: Permission denied" && error?.route == nobody.route)
                #expect(Trees.bytes(folder.file("back/open")) == [2])
                try await nobody.put(folder.file("tree/secret"), to: folder.file("theirs"))
                #expect(Trees.status(folder.file("theirs"))?.st_uid == 65534 && Trees.mode(folder.file("theirs")) == 0o600)
                Trees.makeFolder(folder.file("mine"))
                let denied = await failure { try await nobody.put(bytes: [1], to: folder.file("mine/x")) }
                #expect(denied?.message == "write \(folder.path)/mine/x: Permission denied")
                #expect(leftovers(folder.path) == [] && Trees.names(folder.file("mine")) == [])
            }
        }
    }
}
