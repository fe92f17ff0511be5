import Foundation
import MartletTestKit
import MartletTestSupport
import Synchronization
import Testing

@testable import Martlet

@Suite(.leakChecked) struct SyncTests {
    private func shown(_ changes: [SyncChange]) -> [String] {
        changes.map { "\($0.kind.rawValue) \($0.path.shown)\($0.isFolder ? "/" : "")" }
    }

    @Test
    func `Only what changed is copied, what is asked for is deleted, and a dry run says the same and does nothing`()
        async throws
    {
        try await withFolderAndContext { folder, context async throws in
            let (tree, there) = ("\(folder)/tree", "\(folder)/there")
            Trees.make(tree)
            let first = try await context.sync(tree, to: there)
            #expect(first.succeeded && first.fileCount == 7 && first.changes.count == 14)
            #expect(Trees.all(there) == Trees.all(tree))
            let again = try await context.sync("\(tree)/", to: "\(there)/")
            #expect(again.changes == [] && again.byteCount == 0 && again.fileCount == 0)
            // A change of each kind.
            Trees.write("\(tree)/plain", [1], mode: 0o640)
            Trees.write("\(tree)/new", [2])
            Trees.makeFolder("\(tree)/sub/more")
            chmod("\(tree)/program", 0o700)
            unlink("\(tree)/link")
            symlink("program", "\(tree)/link")
            unlink("\(tree)/large")
            Trees.remove("\(tree)/sub/deep")
            var options = SyncOptions()
            options.isDryRun = true
            let before = Trees.all(there)
            let kept = try await context.sync(tree, to: there, options: options)
            let wanted = [
                "updated link", "created new", "updated plain", "metadata program", "created sub/more/",
            ]
            // Folders have another time when something in them is another.
            #expect(shown(kept.changes.filter { !($0.kind == .metadata && $0.isFolder) }) == wanted)
            options.deletes = true
            let dry = try await context.sync(tree, to: there, options: options)
            #expect(shown(dry.changes).filter { $0.hasPrefix("deleted") } == ["deleted sub/deep/", "deleted large"])
            #expect(Trees.all(there) == before)
            options.isDryRun = false
            let done = try await context.sync(tree, to: there, options: options)
            #expect(done.changes == dry.changes && done.succeeded && done.fileCount == 2)
            #expect(Trees.all(there) == Trees.all(tree))
            #expect(try await context.sync(tree, to: there, options: options).changes == [])
        }
    }

    @Test func `A link into the folder leads to the copy, any other stays as it is`() async throws {
        try await withFolderAndContext { folder, context async throws in
            let (tree, there) = ("\(folder)/tree", "\(folder)/there")
            Trees.makeFolder(tree)
            Trees.write("\(tree)/file", [1])
            let links = [
                "relative": "file", "inside": "\(tree)/file", "outside": "/etc/passwd", "beside": "\(tree)x/file",
            ]
            for (name, target) in links { symlink(target, "\(tree)/\(name)") }
            _ = try await context.sync(tree, to: there)
            let found = Trees.all(there)
            for (name, target) in links {
                let wanted = name == "inside" ? "\(there)/file" : target
                #expect(found[Array(name.utf8)]?.content == Array(wanted.utf8))
            }
            #expect(try await context.sync(tree, to: there).changes == [])
        }
    }

    @Test func `Size and time decide, or the content`() async throws {
        try await withFolderAndContext { folder, context async throws in
            let (tree, there) = ("\(folder)/tree", "\(folder)/there")
            Trees.makeFolder(tree)
            Trees.write("\(tree)/same", [1, 2, 3], modified: 1000)
            Trees.write("\(tree)/other", [1, 2, 3], modified: 1000)
            _ = try await context.sync(tree, to: there)
            Trees.write("\(there)/other", [3, 2, 1], modified: 1000)
            Trees.touch("\(there)/same", 2000)
            var options = SyncOptions()
            options.comparesContent = true
            options.isDryRun = true
            func files(_ outcome: SyncOutcome) -> [String] { shown(outcome.changes.filter { !$0.isFolder }) }
            #expect(
                files(try await context.sync(tree, to: there, options: options)) == ["updated other", "metadata same"])
            options.isDryRun = false
            options.comparesContent = false
            #expect(files(try await context.sync(tree, to: there, options: options)) == ["updated same"])
            options.comparesContent = true
            #expect(files(try await context.sync(tree, to: there, options: options)) == ["updated other"])
            #expect(
                Trees.bytes("\(there)/other") == [1, 2, 3] && Trees.status("\(there)/same")?.st_mtim.tv_sec == 1000)
        }
    }

    @Test func `Filters say what is copied, and what is excluded is not deleted`() async throws {
        try await withFolderAndContext { folder, context async throws in
            let (tree, there) = ("\(folder)/tree", "\(folder)/there")
            for path in [tree, "\(tree)/.git", "\(tree)/src", there, "\(there)/old", "\(there)/gone"] {
                Trees.makeFolder(path)
            }
            for name in [".git/x", "src/a.o", "src/keep.o", "src/a.c"] { Trees.write("\(tree)/\(name)", [1]) }
            for name in ["old/b.o", "old/c.c", "gone/x"] { Trees.write("\(there)/\(name)", [2]) }
            var options = SyncOptions()
            options.filters = [.include("keep.o"), .exclude("*.o"), .exclude("/.git/")]
            options.deletes = true
            let asked = Mutex<Set<String>>([])
            options.isIncluded = { path, status in
                asked.withLock { _ = $0.insert(path.shown) }
                return status.kind != .file || !path.shown.hasSuffix("never")
            }
            Trees.write("\(tree)/never", [3])
            _ = try await context.sync(tree, to: there, options: options)
            #expect(Set(Trees.all(there).keys.map(\.shown)) == ["src", "src/keep.o", "src/a.c", "old", "old/b.o"])
            #expect(asked.withLock { $0 } == ["never", "src", "src/a.c", "src/keep.o"])
        }
    }

    @Test func `What the source cannot read is told, and not deleted in the target`() async throws {
        try await withFolderAndContext { folder, context async throws in
            let (tree, there) = ("\(folder)/tree", "\(folder)/there")
            Trees.makeFolder(tree)
            Trees.write("\(tree)/a", [1])
            mkfifo("\(tree)/b", 0o600)
            Trees.makeFolder(there)
            Trees.write("\(there)/c", [1])
            var options = SyncOptions()
            options.deletes = true
            let outcome = try await context.sync(tree, to: there, options: options)
            #expect(
                !outcome.succeeded
                    && outcome.failures.map(\.description) == ["b: it is neither a regular file, a folder nor a link"])
            #expect(throws: MartletError.self) { try outcome.get() }
            #expect(Trees.names(there) == ["a", "c"])
            unlink("\(tree)/b")
            // What is of another kind is replaced only where things are deleted.
            Trees.makeFolder("\(there)/a2")
            Trees.write("\(there)/a2/x", [1])
            Trees.write("\(tree)/a2", [7])
            options.deletes = false
            #expect(
                try await context.sync(tree, to: there, options: options).failures.map(\.description) == [
                    "a2: a folder is there"
                ])
            options.deletes = true
            #expect(try await context.sync(tree, to: there, options: options).succeeded)
            #expect(Trees.all(there) == Trees.all(tree))
            let single = await failure { _ = try await context.sync("\(tree)/a", to: there) }
            #expect(single?.advice == "copy a single file with put")
            let none = await failure { _ = try await context.sync("\(tree)/none", to: there) }
            #expect(none?.message == "read \(tree)/none here: No such file or directory")
        }
    }

    @Test func `What is excluded is in nobody's way, and nothing beside it goes`() async throws {
        try await withFolderAndContext { folder, context async throws in
            let (tree, there) = ("\(folder)/tree", "\(folder)/there")
            for path in [tree, "\(tree)/d", there] + ["a", "b", "c", "c/sub"].map({ "\(there)/\($0)" }) {
                Trees.makeFolder(path)
            }
            for name in ["a", "c", "d/x", "e"] { Trees.write("\(tree)/\(name)", [1]) }
            symlink("e", "\(tree)/b")
            for name in ["a/x", "a/y.keep", "b/y.keep", "c/sub/x"] { Trees.write("\(there)/\(name)", [2]) }
            symlink("nowhere", "\(there)/d")
            mkfifo("\(there)/e", 0o600)
            var options = SyncOptions()
            options.deletes = true
            options.filters = [.exclude("*.keep")]
            let wanted = ["a: a/y.keep is in the way, and excluded", "b: b/y.keep is in the way, and excluded"]
            options.isDryRun = true
            let dry = try await context.sync(tree, to: there, options: options)
            #expect(dry.failures.map(\.description) == wanted)
            options.isDryRun = false
            let outcome = try await context.sync(tree, to: there, options: options)
            #expect(outcome.failures.map(\.description) == wanted && outcome.changes == dry.changes)
            #expect(Trees.names("\(there)/a") == ["x", "y.keep"] && Trees.names("\(there)/b") == ["y.keep"])
            for name in ["c", "d/x", "e"] { #expect(Trees.bytes("\(there)/\(name)") == [1]) }
            options.filters = []
            #expect(try await context.sync(tree, to: there, options: options).succeeded)
            #expect(Trees.all(there) == Trees.all(tree))
        }
    }

    @Test(.enabled(if: getuid() == 0, "needs root and another user"))
    func `What is ours and may not be read is set right and deleted all the same, what is not ours is told`()
        async throws
    {
        try await TestFolder.with(permissions: 0o777) { folder async throws in
            chmod(folder.path, 0o777)
            try await withLocalContext { martlet, context async throws in
                let nobody = try await context.connect(.sudo(user: "nobody"))
                let (tree, there) = (folder.file("tree"), folder.file("there"))
                Trees.makeFolder(tree)
                Trees.write("\(tree)/file", [1])
                #expect(try await nobody.sync(tree, to: there).succeeded)
                for mode: UInt32 in [0o200, 0] {
                    chmod("\(there)/file", mode)
                    let outcome = try await nobody.sync(tree, to: there)
                    #expect(outcome.succeeded && outcome.fileCount == 0, "\(outcome.failures)")
                    #expect(Trees.mode("\(there)/file") == 0o644)
                }
                for (name, mode): (String, UInt32) in [("closed", 0), ("blind", 0o300), ("foreign", 0o700)] {
                    Trees.makeFolder("\(there)/\(name)")
                    Trees.write("\(there)/\(name)/x", [1])
                    if name != "foreign" { chown("\(there)/\(name)", 65534, 65534) }
                    chmod("\(there)/\(name)", mode)
                }
                var options = SyncOptions()
                options.deletes = true
                let outcome = try await nobody.sync(tree, to: there, options: options)
                #expect(outcome.failures.map(\.description) == ["foreign: Permission denied"])
                #expect(Trees.names(there) == ["file", "foreign"])
                // What stays for what is excluded stays as it is.
                Trees.makeFolder("\(there)/closed")
                Trees.write("\(there)/closed/x", [1])
                Trees.write("\(there)/closed/y.keep", [1])
                chown("\(there)/closed", 65534, 65534)
                chmod("\(there)/closed", 0)
                options.filters = [.exclude("*.keep"), .exclude("foreign")]
                #expect(try await nobody.sync(tree, to: there, options: options).succeeded)
                #expect(Trees.names("\(there)/closed") == ["y.keep"] && Trees.mode("\(there)/closed") == 0)
            }
        }
    }

    @Test func `Many targets get each what it lacks, and one that fails stops no other`() async throws {
        try await TestFolder.with { folder async throws in
            try await withMartlet(OutputLog().options) { martlet async throws in
                let contexts = [
                    try await martlet.connect(.local), try await martlet.connect(.local),
                    try await martlet.connect(.local),
                ]
                let tree = folder.file("tree")
                Trees.make(tree)
                Trees.makeFolder(folder.file("b"))
                Trees.write(folder.file("b/extra"), [1])
                Trees.write(folder.file("file"), [1])
                let targets = [
                    SyncTarget(contexts[0], folder.file("a")), SyncTarget(contexts[1], folder.file("b")),
                    SyncTarget(contexts[2], folder.file("none/c")), SyncTarget(contexts[2], folder.file("file")),
                    SyncTarget(contexts[0], folder.file("e")),
                ]
                let finished = Mutex<Set<Int>>([])
                let progress = Mutex<[Int: TransferProgress]>([:])
                let outcomes = try await martlet.sync(
                    tree, to: targets, onProgress: { number, now in progress.withLock { $0[number] = now } },
                    onFinish: { number, _ in finished.withLock { _ = $0.insert(number) } })
                #expect(outcomes.map(\.succeeded) == [true, true, false, false, true])
                #expect(
                    outcomes[2].error?.message == "write \(folder.path)/none/c: No such file or directory",
                    "\(outcomes[2].error as Any)")
                #expect(outcomes[3].error?.code == .fileFailed && outcomes[3].error?.route == contexts[2].route)
                #expect(finished.withLock { $0 } == [0, 1, 2, 3, 4])
                #expect(progress.withLock { $0[1]?.isFinished } == true)
                for name in ["a", "e"] { #expect(Trees.all(folder.file(name)) == Trees.all(tree)) }
                #expect(Trees.bytes(folder.file("b/extra")) == [1] && Trees.bytes(folder.file("file")) == [1])
                let error = await failure { _ = try await martlet.sync(tree, to: []) }
                #expect(error?.code == .misuse)
            }
        }
    }

    @Test func `Behind one link everything goes over it once, and one that is lost stops no other`() async throws {
        try await TestFolder.with { scratch async throws in
            try await withLocalContext { martlet, bastion async throws in
                let folder = scratch.path
                let tree = "\(folder)/tree"
                Trees.make(tree)
                Trees.write("\(tree)/huge", pattern(8 << 20))
                let inner = [try await bastion.connect(.local), try await bastion.connect(.local)]
                let deep = [try await inner[1].connect(.local), try await inner[1].connect(.local)]
                let contexts = [bastion, inner[0], inner[1]] + deep
                let targets =
                    contexts.enumerated().map { SyncTarget($1, "\(folder)/t\($0)") } + [
                        SyncTarget(inner[0], "\(folder)/none/x")
                    ]
                let size = Trees.all(tree).values.reduce(0) { $0 + ($1.kind == "file" ? $1.content.count : 0) }
                let before = bastion.linkTraffic.sent
                let outcomes = try await martlet.sync(tree, to: targets)
                let sent = Int(bastion.linkTraffic.sent - before)
                #expect(outcomes.map(\.succeeded) == [true, true, true, true, true, false], "\(outcomes.map(\.error))")
                #expect(sent > size && sent < size + size / 8 + 100_000, "\(sent) for \(size)")
                for number in 0..<5 { #expect(Trees.all("\(folder)/t\(number)") == Trees.all(tree)) }
                // One lacks something, one is killed while it comes.
                unlink("\(folder)/t3/plain")
                Trees.remove("\(folder)/t1")
                let pid = inner[0].facts.processID
                let killed = try await martlet.sync(tree, to: Array(targets[1...3])) { _, progress in
                    if progress.byteCount > 1 << 20, !progress.isFinished { kill(pid, SIGKILL) }
                }
                #expect(killed.map(\.succeeded) == [false, true, true], "\(killed.map(\.error))")
                #expect(killed[0].error?.code == .contextLost && killed[2].fileCount == 1)
                #expect(Trees.all("\(folder)/t3") == Trees.all(tree))
            }
        }
    }
}
