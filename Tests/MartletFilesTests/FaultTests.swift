import Foundation
import MartletTestKit
import MartletTestSupport
import Synchronization
import Testing

@testable import Martlet

@Suite(.leakChecked) struct FaultTests {
    @Test func `Whoever is killed in the middle leaves the old file and nothing else`() async throws {
        try await withFolderAndContext { folder, context async throws in
            Trees.write("\(folder)/old", [1])
            Trees.write("\(folder)/large", pattern(64 << 20))
            let pid = context.facts.processID
            let error = await failure {
                try await context.put("\(folder)/large", to: "\(folder)/old") { progress in
                    if progress.byteCount > 4 << 20 { kill(pid, SIGKILL) }
                }
            }
            #expect(error?.code == .contextLost)
            #expect(Trees.bytes("\(folder)/old") == [1])
            await eventually { Trees.names(folder) == ["large", "old"] }
        }
        try await withFolderAndContext { folder, context async throws in
            Trees.write("\(folder)/old", [1])
            Trees.write("\(folder)/large", pattern(64 << 20))
            let pid = context.facts.processID
            let error = await failure {
                try await context.get("\(folder)/large", to: "\(folder)/old") { _ in kill(pid, SIGKILL) }
            }
            #expect(error?.code == .contextLost)
            #expect(Trees.bytes("\(folder)/old") == [1] && Trees.names(folder) == ["large", "old"])
        }
    }

    @Test func `A transfer that is cancelled leaves the old file and nothing else`() async throws {
        try await withFolderAndContext { folder, context async throws in
            Trees.write("\(folder)/old", [1])
            Trees.write("\(folder)/large", pattern(64 << 20))
            let cancel: @Sendable (TransferProgress) -> Void = { progress in
                if progress.byteCount > 1 << 20 { withUnsafeCurrentTask { $0?.cancel() } }
            }
            for isPut in [true, false] {
                let transfer = Task {
                    if isPut {
                        try await context.put("\(folder)/large", to: "\(folder)/old", onProgress: cancel)
                    } else {
                        try await context.get("\(folder)/large", to: "\(folder)/old", onProgress: cancel)
                    }
                }
                await #expect(throws: CancellationError.self) { try await transfer.value }
                await eventually { Trees.names(folder) == ["large", "old"] }
                #expect(Trees.bytes("\(folder)/old") == [1])
            }
            #expect(try await context.run("echo fine").text == "fine\n")
        }
    }

    @Test func `What broke off goes on where it was, if it is still the same`() async throws {
        try await withFolderAndContext { folder, context async throws in
            let (large, there) = ("\(folder)/large", "\(folder)/there")
            Trees.write(large, pattern(32 << 20), modified: 1000)
            var options = TransferOptions()
            options.resumes = true
            func breakOff(_ isPut: Bool) async {
                let stop: @Sendable (TransferProgress) -> Void = { progress in
                    if progress.byteCount > 8 << 20 { withUnsafeCurrentTask { $0?.cancel() } }
                }
                let transfer = Task { [options] in
                    if isPut {
                        try await context.put(large, to: there, options: options, onProgress: stop)
                    } else {
                        try await context.get(large, to: there, options: options, onProgress: stop)
                    }
                }
                _ = try? await transfer.value
            }
            for isPut in [true, false] {
                await breakOff(isPut)
                #expect(leftovers(folder).count == 1 && Trees.status(there) == nil, "\(Trees.names(folder))")
                let before = context.linkTraffic
                let part = Int(Trees.status("\(folder)/\(leftovers(folder)[0])")!.st_size)
                #expect(part > 4 << 20)
                let result =
                    isPut
                    ? try await context.put(large, to: there, options: options)
                    : try await context.get(large, to: there, options: options)
                let moved =
                    isPut ? context.linkTraffic.sent - before.sent : context.linkTraffic.received - before.received
                #expect(result.byteCount == 32 << 20 && Trees.bytes(there) == pattern(32 << 20))
                #expect(moved < UInt64(29 << 20), "\(moved), \(part) were there")
                #expect(leftovers(folder) == [])
                unlink(there)
            }
            // The beginning is another now, though size and time are the same.
            await breakOff(true)
            Trees.write(large, [9] + pattern((32 << 20) - 1), modified: 1000)
            try await context.put(large, to: there, options: options)
            #expect(Trees.bytes(there)?.prefix(3) == [9] + pattern(2) && leftovers(folder) == [])
        }
    }

    @Test func `What is left of earlier tries goes, but for what somebody is at`() async throws {
        try await withFolderAndContext { folder, context async throws in
            let (large, there) = ("\(folder)/large", "\(folder)/there")
            let busy = ".there.martlet-partial-0123456789abcdef"
            let other = ".there2.martlet-partial-0123456789abcdef"
            var options = TransferOptions()
            options.resumes = true
            func breakOff(_ time: Int) async -> [String] {
                Trees.write(large, pattern(32 << 20), modified: time)
                let transfer = Task { [options] in
                    try await context.put(large, to: there, options: options) { progress in
                        if progress.byteCount > 8 << 20 { withUnsafeCurrentTask { $0?.cancel() } }
                    }
                }
                _ = try? await transfer.value
                return leftovers(folder)
            }
            let first = await breakOff(1000)
            let second = await breakOff(2000)
            #expect(first.count == 1 && second.count == 1 && first != second)
            for name in [busy, other] { Trees.write("\(folder)/\(name)", [1], mode: 0o600) }
            let descriptor = open("\(folder)/\(busy)", O_RDONLY | O_CLOEXEC)
            #expect(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
            Trees.touch(large, 3000)
            try await context.put(large, to: there, options: options)
            #expect(leftovers(folder) == [busy, other])
            try await context.put(large, to: there)
            #expect(leftovers(folder) == [busy, other])
            close(descriptor)
            #expect(await breakOff(4000).count == 2)
            try await context.put(large, to: there)
            #expect(leftovers(folder) == [other])
        }
    }

    @Test func `Behind one link what broke off goes on, together where all have the same, else one behind the other`()
        async throws
    {
        try await TestFolder.with { scratch async throws in
            try await withLocalContext { martlet, bastion async throws in
                let folder = scratch.path
                let (size, step) = (64 << 20, 4 << 20)
                Trees.write("\(folder)/large", pattern(size), modified: 1000)
                var options = TransferOptions()
                options.resumes = true
                let source = try DeliverySource("\(folder)/large", options)
                var targets: [SyncTarget] = []
                for number in 0..<3 {
                    targets.append(SyncTarget(try await bastion.connect(.local), "\(folder)/t\(number)"))
                }
                // What is there of each when it goes on, and what the link may then carry at most.
                for (parts, limit) in [
                    ([8 * step, 8 * step, 8 * step + 5], 8 * step), ([8 * step, 9 * step, 8 * step], 15 * step),
                    ([0, 0, 9 * step], 23 * step),
                ] {
                    try await source.put(
                        to: targets,
                        onProgress: { _, progress in
                            if progress.byteCount > 52 << 20 { withUnsafeCurrentTask { $0?.cancel() } }
                        }, onFinish: { _, _ in })
                    #expect(leftovers(folder).count == 3)
                    for (number, name) in leftovers(folder).enumerated() {
                        let descriptor = open("\(folder)/\(name)", O_RDWR | O_CLOEXEC)
                        await eventually { flock(descriptor, LOCK_EX | LOCK_NB) == 0 }
                        #expect(Trees.status("\(folder)/\(name)")!.st_size > 9 * step)
                        ftruncate(descriptor, off_t(parts[number]))
                        close(descriptor)
                    }
                    let before = bastion.linkTraffic.sent
                    let failures = Mutex<[any Error]>([])
                    try await source.put(to: targets, onProgress: nil) { _, result in
                        if case .failure(let error) = result { failures.withLock { $0.append(error) } }
                    }
                    #expect(failures.withLock { $0.isEmpty }, "\(failures.withLock { $0 })")
                    let sent = Int(bastion.linkTraffic.sent - before)
                    #expect(sent < limit + (1 << 20), "\(sent) for \(parts)")
                    for number in 0..<3 {
                        #expect(Trees.bytes("\(folder)/t\(number)") == pattern(size))
                        unlink("\(folder)/t\(number)")
                    }
                    #expect(leftovers(folder) == [])
                }
            }
        }
    }

    @Test(.enabled("needs root and namespaces") { await ThrowawayMachine.obstacle() == nil })
    func `A disk that is full is told with what to do, and leaves nothing`() async throws {
        try await TestFolder.with { folder async throws in
            try await withLocalContext { martlet, context async throws in
                let small = folder.file("small")
                Trees.makeFolder(small)
                #expect(try await context.run("mount -t tmpfs -o size=2m none \(small)").succeeded)
                defer { umount2(small, Int32(MNT_DETACH)) }
                Trees.write(folder.file("large"), pattern(8 << 20))
                Trees.write("\(small)/old", [1])
                let full = await failure { try await context.put(folder.file("large"), to: "\(small)/old") }
                #expect(
                    full?.message == "write \(small)/old: No space left on device"
                        && full?.advice?.hasPrefix("make room") == true)
                #expect(Trees.bytes("\(small)/old") == [1] && Trees.names(small) == ["old"])
                let here = await failure { try await context.get(folder.file("large"), to: "\(small)/old") }
                #expect(here?.message == "write \(small)/old here: No space left on device")
                Trees.makeFolder(folder.file("tree"))
                for number in 0..<40 { Trees.write(folder.file("tree/\(number)"), pattern(100_000)) }
                let tree = await failure { try await context.put(folder.file("tree"), to: small) }
                #expect(tree?.message.hasSuffix("No space left on device") == true)
                #expect(
                    Trees.names("\(small)/tree").allSatisfy { Trees.bytes("\(small)/tree/\($0)") == pattern(100_000) })
            }
        }
    }

    @Test func `A file that shrinks or changes while it is read is no copy; one that grows is`() async throws {
        try await withFolderAndContext { folder, context async throws in
            let (here, there) = ("\(folder)/here", "\(folder)/there")
            Trees.write(there, [1])
            func put(_ change: @escaping @Sendable () -> Void) async -> MartletError? {
                Trees.write(here, pattern(4 << 20), modified: 1000)
                let isFirst = Mutex(true)
                return await failure {
                    try await context.put(here, to: there) { _ in
                        if isFirst.withLock({ first in
                            defer { first = false }; return first
                        }) {
                            change()
                        }
                    }
                }
            }
            let shrunk = await put { truncate(here, 1 << 20) }
            #expect(shrunk?.message == "read \(here) here: it became shorter while it was read")
            let changed = await put { Trees.touch(here, 2000) }
            #expect(changed?.message == "read \(here) here: it changed while it was read")
            #expect(Trees.bytes(there) == [1])
            let grown = await put {
                let descriptor = open(here, O_WRONLY | O_APPEND | O_CLOEXEC)
                write(descriptor, "more", 4)
                close(descriptor)
            }
            #expect(grown == nil && Trees.bytes(there) == pattern(4 << 20))
            #expect(leftovers(folder) == [])
        }
    }

    @Test func `Ten thousand small files and a large one pass through little memory`() async throws {
        try await withFolderAndContext { folder, context async throws in
            let tree = "\(folder)/tree"
            Trees.makeFolder(tree)
            for group in 0..<20 {
                Trees.makeFolder("\(tree)/\(group)")
                for number in 0..<100 { Trees.write("\(tree)/\(group)/file \(number)", pattern(number)) }
            }
            Trees.write("\(tree)/large", pattern(96 << 20))
            let own = residentMemory()
            try await context.put(tree, to: "\(folder)/there")
            try await context.get("\(folder)/there", to: "\(folder)/back")
            #expect(residentMemory() - own < 64 << 20)
            #expect(residentMemory(of: context.facts.processID) < 128 << 20)
            #expect(Trees.all("\(folder)/back") == Trees.all(tree))
        }
    }
}
