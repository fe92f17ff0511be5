import Foundation
import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

@testable import MartletShim

/// The tools themselves, whose `ssh` leads into a context.
@Suite(.leakChecked) struct RealToolTests {
    @Test(.enabled(if: isInstalled("rsync"), "needs rsync"), arguments: Way.available)
    func `rsync to a context and back, with deletions, four at once`(_ way: Way) async throws {
        try await withShim(way) { shim, _, folder in
            let (tree, there, back) = (folder.file("tree"), folder.file("there"), folder.file("back"))
            try makeTree(tree)
            let to = try await shim.run(["rsync", "-a", "\(tree)/", "web1:\(there)/"])
            #expect(to.succeeded, "\(to.report)")
            try await expectSame(tree, there)
            try FileManager.default.removeItem(atPath: "\(tree)/d1")
            try Data("new".utf8).write(to: URL(fileURLWithPath: "\(tree)/new"))
            let again = try await shim.run([
                "rsync", "-a", "--delete", "--checksum", "\(tree)/", "joe@anything:\(there)/",
            ])
            #expect(again.succeeded, "\(again.report)")
            try await expectSame(tree, there)
            let results = try await withThrowingTaskGroup(of: CommandResult.self) { group in
                for number in 0..<4 {
                    group.addTask { try await shim.run(["rsync", "-a", "h:\(there)/", "\(back)\(number)/"]) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            for result in results { #expect(result.succeeded, "\(result.report)") }
            for number in 0..<4 { try await expectSame(tree, "\(back)\(number)") }
        }
    }

    @Test(.enabled(if: isInstalled("scp") && isInstalled("sftp"), "needs OpenSSH's client"))
    func `scp in both its ways, and sftp with a batch`() async throws {
        try await withShim { shim, _, folder in
            let tree = folder.file("tree")
            try makeTree(tree, files: 20)
            for (name, flags) in [("old", ["-O"]), ("new", ["-s"])] {
                let to = try await shim.run(["scp", "-rpq"] + flags + [tree, "h:\(folder.file(name))"])
                #expect(to.succeeded, "\(to.report)")
                // By the path that the tool has for itself.
                let from = try await shim.run(
                    ["/usr/bin/scp", "-rpq"] + flags + ["h:\(folder.file(name))", folder.file("\(name)-back")])
                #expect(from.succeeded, "\(from.report)")
                // It follows links.
                let result = try await runProgram(["diff", "-r", tree, folder.file("\(name)-back")])
                #expect(result.exitCode == 0, "\(result.output)")
            }
            let batch = "put \(tree)/large \(folder.file("put"))\nget \(tree)/large \(folder.file("got"))\nls \(tree)\n"
            try batch.write(toFile: folder.file("batch"), atomically: true, encoding: .utf8)
            // Found in PATH, by a script.
            let sftp = try await shim.shell("exec sftp -b \(folder.file("batch")) h")
            #expect(sftp.succeeded, "\(sftp.report)")
            #expect(sftp.text.contains("large"))
            for name in ["put", "got"] {
                #expect(try Data(contentsOf: URL(fileURLWithPath: folder.file(name))) == Data(pattern(5_000_000)))
            }
        }
    }

    @Test(.enabled(if: isInstalled("git"), "needs git"))
    func `git clones, fetches and pushes`() async throws {
        try await withShim { shim, _, folder in
            let result = try await shim.shell(
                """
                set -e
                export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b
                export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
                cd "$HOST_FOLDER"
                git init -q --bare -b main far.git
                git clone -q "git@h:$PWD/far.git" one 2>/dev/null
                cd one; git checkout -q -b main; echo 1 >f; git add f; git commit -qm 1; git push -q origin main; cd ..
                git clone -q "ssh://git@h:2222$PWD/far.git" two
                cd one; echo 2 >f; git commit -qam 2; git push -q; cd ../two
                git fetch -q; git log --format=%s origin/main; git merge -q origin/main; cat f
                """, folder)
            #expect(result.succeeded, "\(result.report)")
            #expect(result.text == "2\n1\n2\n")
        }
    }

    @Test func `tar and cat pass every byte through pipes, files and sockets`() async throws {
        try await withShim(.relay) { shim, _, folder in
            try makeTree(folder.file("tree"), files: 20)
            try Data(pattern(64 << 20)).write(to: URL(fileURLWithPath: folder.file("big")))
            let result = try await shim.shell(
                """
                set -e
                cd "$HOST_FOLDER"; mkdir there back
                tar -cf - tree | ssh h tar -xf - -C "$PWD/there"
                ssh h tar -cf - -C "$PWD/there" tree | tar -xf - -C back
                diff -r tree back/tree
                ssh h cat <big >copy; cmp big copy
                cat big | ssh h cat | cmp - big
                echo done
                """, folder)
            #expect(result.succeeded, "\(result.report)")
            #expect(result.text == "done\n")
        }
    }

    @Test(.enabled(if: isInstalled("rsync"), "needs rsync"))
    func `Where no directory can be made, tools find it all the same`() async throws {
        try await withLocalContext { _, context in
            try await TestFolder.with { folder in
                let shim = try SSHShim(.any(context), in: ["/proc", folder.file("missing")])
                defer { shim.close() }
                #expect(shim.program.hasPrefix("/proc/"))
                try makeTree(folder.file("tree"), files: 20)
                let to = try await shim.run(["rsync", "-a", folder.file("tree") + "/", "h:\(folder.file("there"))"])
                #expect(to.succeeded, "\(to.report)")
                try await expectSame(folder.file("tree"), folder.file("there"))
                let scp = try await shim.run(["scp", "-q", "h:\(folder.file("tree"))/large", folder.file("got")])
                #expect(scp.succeeded, "\(scp.report)")
                let ssh = try await shim.shell("$MARTLET_SSH_PROGRAM h echo $((6 * 7))")
                #expect(ssh.text == "42\n", "\(ssh.report)")
                let git = try await shim.shell(
                    "git init -q --bare \"$HOST_FOLDER/far\" && git ls-remote \"h:$HOST_FOLDER/far\"", folder)
                #expect(git.succeeded, "\(git.report)")
            }
        }
    }

    struct UseSSH: RemoteTask {
        var folder: TestFolder
        func run(in context: RemoteContext) async throws -> String {
            let below = try await context.connect(.local)
            defer { _ = below }
            let shim = try SSHShim(.any(below), in: [])
            defer { shim.close() }
            let result = try await shim.run(["rsync", "-a", folder.file("tree") + "/", "h:\(folder.file("there"))"])
            await below.close()
            return "\(result.termination) \(result.errorText)"
        }
    }

    @Test(.enabled(if: isInstalled("rsync"), "needs rsync"))
    func `A task in a context lends one to its own children`() async throws {
        try await withLocalContext { _, context in
            try await TestFolder.with { folder in
                try makeTree(folder.file("tree"), files: 20)
                #expect(try await context.call(UseSSH(folder: folder)) == "exit code 0 ")
                try await expectSame(folder.file("tree"), folder.file("there"))
            }
        }
    }
}

@Suite(.leakChecked, .enabled("needs root and namespaces") { await ThrowawayMachine.obstacle() == nil })
struct PrivilegedToolTests {
    @Test(.enabled(if: isInstalled("rsync") && isInstalled("sudo"), "needs rsync and sudo"))
    func `Two hops and sudo away, where root alone may read and write`() async throws {
        var configuration = ThrowawayMachine.Configuration()
        configuration.setup = """
            useradd -m -s /bin/bash nop >/dev/null 2>&1
            echo 'nop ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers; chmod 440 /etc/sudoers; rm -rf /etc/sudoers.d/*
            mkdir -m 700 /root/secret; echo deep >/root/secret/file
            """
        try await withThrowawayMachine(configuration) { machine in
            try await withMartlet { martlet in
                let first = try await martlet.connect(.command(machine.commandPrefix + ["/bin/sh", "-c"]))
                var options = LocalOptions()
                options.user = "nop"
                let nop = try await first.connect(.local(options))
                let root = try await nop.connect(.sudo())
                try await TestFolder.with { folder in
                    let denied = try await nop.runWithSSH(["rsync", "-a", "h:/root/secret/", folder.file("no/")])
                    #expect(!denied.succeeded)
                    #expect(denied.errorText.contains("Permission denied"), "\(denied.report)")
                    let got = try await root.runWithSSH(["rsync", "-a", "h:secret/", folder.file("got/")])
                    #expect(got.succeeded, "\(got.report)")
                    #expect(try String(contentsOfFile: folder.file("got/file"), encoding: .utf8) == "deep\n")
                    try makeTree(folder.file("tree"), files: 30)
                    let put = try await root.runWithSSH([
                        "rsync", "-a", folder.file("tree") + "/", "h:/root/secret/tree/",
                    ])
                    #expect(put.succeeded, "\(put.report)")
                    let back = try await root.runWithSSH(["scp", "-rpqO", "h:/root/secret/tree", folder.file("back")])
                    #expect(back.succeeded, "\(back.report)")
                    let same = try await runProgram(["diff", "-r", folder.file("tree"), folder.file("back")])
                    #expect(same.exitCode == 0, "\(same.output)")
                    // Between two contexts, each by its name.
                    let result = try await withSSH(.named(["a": root, "b": nop])) { shim in
                        try await shim.run(["scp", "-3q", "a:/root/secret/file", "b:/home/nop/file"])
                    }
                    #expect(result.succeeded, "\(result.report)")
                    #expect(try await nop.run("cat; id -un < /dev/null; cat /home/nop/file").lines == ["nop", "deep"])
                }
            }
        }
    }
}
