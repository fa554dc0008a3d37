# Written by conntide completion; see make completion.
_conntide_tables()
{
	local file
	for file in /run/conntide/*.table; do
		[ -e "$file" ] && basename "$file" .table
	done
}

_conntide()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	local i command= words=
	COMPREPLY=()
	# --format=csv comes as three words.
	[ "$cur" = = ] && cur=
	[ "$prev" = = ] && prev=${COMP_WORDS[COMP_CWORD-2]}
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--runtime-dir|--netns) i=$((i + 1)) ;;
		-*|=) ;;
		*) command=${COMP_WORDS[i]}; break ;;
		esac
	done
	case $prev in
	--runtime-dir) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	--netns) COMPREPLY=($(compgen -W "$(_conntide_tables)" -- "$cur")); return ;;
	--state-dir) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	--format) COMPREPLY=($(compgen -W 'json ndjson csv text' -- "$cur")); return ;;
	--sort) COMPREPLY=($(compgen -W 'entries port l4proto direction state new_per_second destroyed_per_second mean_lifetime_seconds' -- "$cur")); return ;;
	--limit) return ;;
	--l4proto) COMPREPLY=($(compgen -W 'tcp udp sctp icmp icmpv6 gre other' -- "$cur")); return ;;
	--direction) COMPREPLY=($(compgen -W 'inbound outbound forwarded loopback' -- "$cur")); return ;;
	--port) COMPREPLY=($(compgen -s -- "$cur")); return ;;
	--state) COMPREPLY=($(compgen -W 'SYN_SENT SYN_RECV ESTABLISHED FIN_WAIT CLOSE_WAIT LAST_ACK TIME_WAIT CLOSE SYN_SENT2 unreplied replied assured' -- "$cur")); return ;;
	--src) return ;;
	--dst) return ;;
	--zone) return ;;
	--horizon) COMPREPLY=($(compgen -W '30 120 600 3600' -- "$cur")); return ;;
	--kind) COMPREPLY=($(compgen -W 'source destination service source64 destination64' -- "$cur")); return ;;
	--stage) COMPREPLY=($(compgen -W 'high critical drops recovered' -- "$cur")); return ;;
	--rounds) return ;;
	--delay) return ;;
	--warning) return ;;
	--critical) return ;;
	esac
	case $command in
	'') words='status top ports cells forecast why advice whatif nat flow talkers incidents check explain record replay run demo completion help --runtime-dir --netns --help --version' ;;
	flow|record|replay|run|demo)
		words=$(conntide "$command" --help 2>/dev/null |
			grep -o -E -- '(^|[ ,[])--[a-z][a-z.-]*' | tr -d ' ,[') ;;
	status) words='--runtime-dir --netns --json --verbose --watch --help' ;;
	top) words='--runtime-dir --netns --state-dir --zone --batch --rounds --delay --help tcp udp sctp icmp icmpv6 gre other inbound outbound forwarded loopback ESTABLISHED TIME_WAIT SYN_SENT SYN_RECV FIN_WAIT CLOSE_WAIT LAST_ACK CLOSE unreplied replied assured' ;;
	ports) words='--runtime-dir --netns --json --format --sort --limit --l4proto --direction --port --state --zone --watch --help tcp udp sctp icmp icmpv6 gre other inbound outbound forwarded loopback ESTABLISHED TIME_WAIT SYN_SENT SYN_RECV FIN_WAIT CLOSE_WAIT LAST_ACK CLOSE unreplied replied assured' ;;
	cells) words='--runtime-dir --netns --json --format --sort --limit --l4proto --direction --port --state --zone --watch --help tcp udp sctp icmp icmpv6 gre other inbound outbound forwarded loopback ESTABLISHED TIME_WAIT SYN_SENT SYN_RECV FIN_WAIT CLOSE_WAIT LAST_ACK CLOSE unreplied replied assured' ;;
	forecast) words='--runtime-dir --netns --json --format --limit --history --horizon --watch --help' ;;
	why) words='--runtime-dir --netns --json --watch --help' ;;
	advice) words='--runtime-dir --netns --json --watch --help' ;;
	whatif) words='--runtime-dir --netns --json --watch --help notrack= timeout. max= buckets= rate. keepalive= nat.addresses= nat.ports=' ;;
	nat) words='--runtime-dir --netns --json --format --limit --zone --watch --help' ;;
	talkers) words='--runtime-dir --netns --json --format --limit --l4proto --port --src --dst --kind --watch --help' ;;
	incidents) words='--runtime-dir --netns --state-dir --json --format --limit --stage --watch --help' ;;
	check) words='--runtime-dir --netns --json --warning --critical --host --help' ;;
	explain) words='--help tcp udp sctp icmp icmpv6 gre other inbound outbound forwarded loopback ESTABLISHED TIME_WAIT SYN_SENT SYN_RECV FIN_WAIT CLOSE_WAIT LAST_ACK CLOSE unreplied replied assured' ;;
	completion) words='--help bash zsh fish' ;;
	help) words='--help status top ports cells forecast why advice whatif nat flow talkers incidents check explain record replay run demo completion help' ;;
	esac
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
	[[ ${COMPREPLY[0]} == *[=.] ]] && compopt -o nospace 2>/dev/null
	return 0
}
complete -F _conntide conntide
