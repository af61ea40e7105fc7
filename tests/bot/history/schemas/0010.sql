PRAGMA application_id = 1348563564;
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0010');
CREATE TABLE answers (
	turn_seq INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	question TEXT NOT NULL, 
	reply TEXT NOT NULL, 
	state TEXT NOT NULL, 
	note TEXT NOT NULL, 
	reasoning TEXT NOT NULL, 
	model TEXT NOT NULL, 
	personality TEXT NOT NULL, 
	finish_reason TEXT, 
	first_token_seconds FLOAT, 
	total_seconds FLOAT, 
	prompt_tokens INTEGER NOT NULL, 
	cached_tokens INTEGER NOT NULL, 
	completion_tokens INTEGER NOT NULL, 
	rating INTEGER DEFAULT '0' NOT NULL, 
	finished_at DATETIME NOT NULL, 
	PRIMARY KEY (turn_seq, number), 
	FOREIGN KEY(turn_seq) REFERENCES turns (seq) ON DELETE CASCADE
);
INSERT INTO "answers" VALUES(4,1,'Name a river','The Rhine.','done','','A long one?','smollm2','assistant','stop',0.1,0.5,20,0,4,-1,'2026-03-01 09:04:30.000000');
INSERT INTO "answers" VALUES(4,2,'Name a river','The Nile.','done','','','smollm2','assistant','stop',0.1,0.5,20,0,4,0,'2026-03-01 09:05:01.000000');
CREATE TABLE channels (
	adapter TEXT NOT NULL, 
	workspace TEXT NOT NULL, 
	channel TEXT NOT NULL, 
	personality TEXT NOT NULL, 
	PRIMARY KEY (adapter, workspace, channel)
);
INSERT INTO "channels" VALUES('slack','T1','C1','tutor');
CREATE TABLE chat_turns (
	turn_seq INTEGER NOT NULL, 
	personality TEXT NOT NULL, 
	chosen INTEGER DEFAULT '0' NOT NULL, 
	continued INTEGER, 
	PRIMARY KEY (turn_seq), 
	FOREIGN KEY(turn_seq) REFERENCES turns (seq) ON DELETE CASCADE
);
INSERT INTO "chat_turns" VALUES(4,'assistant',2,NULL);
CREATE TABLE listened_channels (
	adapter TEXT NOT NULL, 
	workspace TEXT NOT NULL, 
	channel TEXT NOT NULL, 
	PRIMARY KEY (adapter, workspace, channel)
);
INSERT INTO "listened_channels" VALUES('slack','T1','C1');
CREATE TABLE owed (
	"key" TEXT NOT NULL, 
	asked TEXT NOT NULL, 
	noted_at DATETIME NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "owed" VALUES('event slack/Ev9','{"kind": "Command", "event_id": "Ev9", "place": {"adapter": "slack", "workspace": "T1", "channel": "C1", "thread": ""}, "person": {"id": "slack:T1/U1", "name": "Ada", "role_ids": [], "is_moderator": false, "is_bot": false}, "awaits_answer": false, "name": "help", "argument": "", "is_private": false, "about": ""}','2026-03-01 09:06:00.000000');
CREATE TABLE posts (
	turn_seq INTEGER NOT NULL, 
	part INTEGER NOT NULL, 
	message_id TEXT NOT NULL, 
	PRIMARY KEY (turn_seq, part), 
	FOREIGN KEY(turn_seq) REFERENCES turns (seq) ON DELETE CASCADE
);
INSERT INTO "posts" VALUES(1,1,'1700.5');
INSERT INTO "posts" VALUES(1,2,'1700.6');
INSERT INTO "posts" VALUES(3,1,'901');
CREATE TABLE remarks (
	id INTEGER NOT NULL, 
	thread_id INTEGER NOT NULL, 
	turn_seq INTEGER, 
	person_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	text TEXT NOT NULL, 
	said_at DATETIME NOT NULL, "key" TEXT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(thread_id) REFERENCES threads (id) ON DELETE CASCADE, 
	FOREIGN KEY(turn_seq) REFERENCES turns (seq) ON DELETE CASCADE
);
INSERT INTO "remarks" VALUES(1,1,2,'slack:T1/U3','Cy','I like goats.','2026-03-01 09:00:30.000000',NULL);
INSERT INTO "remarks" VALUES(2,1,NULL,'slack:T1/U3','Cy','Anyone?','2026-03-01 09:03:00.000000','remark slack:T1/C1/1700.9');
CREATE TABLE seen (
	"key" TEXT NOT NULL, 
	goes_at DATETIME, 
	PRIMARY KEY ("key")
)
 WITHOUT ROWID

;
INSERT INTO "seen" VALUES('message discord:G1/D1/900',NULL);
INSERT INTO "seen" VALUES('message local:terminal/chat1/m1',NULL);
INSERT INTO "seen" VALUES('message slack:T1/C1/1700.1',NULL);
INSERT INTO "seen" VALUES('message slack:T1/C1/1700.2',NULL);
INSERT INTO "seen" VALUES('event slack/Ev1','2026-03-02 09:00:00.000000');
CREATE TABLE threads (
	id INTEGER NOT NULL, 
	adapter TEXT NOT NULL, 
	workspace TEXT NOT NULL, 
	channel TEXT NOT NULL, 
	thread TEXT NOT NULL, 
	personality TEXT, 
	last_number INTEGER DEFAULT '0' NOT NULL, 
	first_kept INTEGER DEFAULT '1' NOT NULL, title TEXT, 
	PRIMARY KEY (id), 
	CONSTRAINT threads_by_place UNIQUE (adapter, workspace, channel, thread)
);
INSERT INTO "threads" VALUES(1,'slack','T1','C1','1700.1',NULL,2,1,NULL);
INSERT INTO "threads" VALUES(2,'discord','G1','D1','','pirate',1,1,NULL);
INSERT INTO "threads" VALUES(3,'local','terminal','','chat1',NULL,1,1,'Rivers');
CREATE TABLE turns (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	thread_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	person_id TEXT NOT NULL, 
	person_name TEXT NOT NULL, 
	message_id TEXT NOT NULL, 
	text TEXT NOT NULL, 
	is_direct BOOLEAN NOT NULL, 
	accepted_at DATETIME NOT NULL, 
	reply TEXT DEFAULT '' NOT NULL, 
	attempts INTEGER DEFAULT '0' NOT NULL, 
	finish_reason TEXT, 
	prompt_tokens INTEGER DEFAULT '0' NOT NULL, 
	cached_tokens INTEGER DEFAULT '0' NOT NULL, 
	completion_tokens INTEGER DEFAULT '0' NOT NULL, 
	rating INTEGER DEFAULT '0' NOT NULL, 
	finished_at DATETIME, unread TEXT, files TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (seq), 
	CONSTRAINT turns_by_number UNIQUE (thread_id, number), 
	UNIQUE (id), 
	UNIQUE ("key"), 
	FOREIGN KEY("key") REFERENCES seen ("key"), 
	FOREIGN KEY(thread_id) REFERENCES threads (id) ON DELETE CASCADE
);
INSERT INTO "turns" VALUES(1,'turn-1','message slack:T1/C1/1700.1',1,1,'done','slack:T1/U1','Ada','1700.1','What is a llama? 🦙',0,'2026-03-01 09:00:00.000000','A **camelid**, it''s said.',1,'stop',40,8,12,1,'2026-03-01 09:00:05.250000',NULL,'[{"name": "Attached files", "excerpt": "[Attached file: a.txt]\none", "is_cut": false}]');
INSERT INTO "turns" VALUES(2,'turn-2','message slack:T1/C1/1700.2',1,2,'queued','slack:T1/U2','Bob','1700.2','And an alpaca?',0,'2026-03-01 09:01:00.000000','',0,NULL,0,0,0,0,NULL,'{"attachments": [{"name": "b.txt", "media_type": "text/plain", "size": 3, "url": "https://files.example/b"}], "earlier": true}','');
INSERT INTO "turns" VALUES(3,'turn-3','message discord:G1/D1/900',2,1,'stopped','discord:U9','Eve','900','Tell me a story',1,'2026-03-01 09:02:00.000000','Once upon',1,'cancelled',30,0,2,0,'2026-03-01 09:02:03.000000',NULL,'[{"name": "c.txt", "excerpt": "three", "is_cut": true}]');
INSERT INTO "turns" VALUES(4,'turn-4','message local:terminal/chat1/m1',3,1,'done','local:terminal','','m1','Name a river',1,'2026-03-01 09:05:00.000000','The Nile.',1,'stop',20,0,4,0,'2026-03-01 09:05:01.000000',NULL,'');
CREATE TABLE usage (
	seq INTEGER NOT NULL, 
	answer_id TEXT NOT NULL, 
	asked_at DATETIME NOT NULL, 
	person TEXT NOT NULL, 
	platform TEXT NOT NULL, 
	place TEXT NOT NULL, 
	personality TEXT NOT NULL, 
	model TEXT NOT NULL, 
	state TEXT NOT NULL, 
	finish_reason TEXT, 
	queue_seconds FLOAT, 
	first_token_seconds FLOAT, 
	total_seconds FLOAT, 
	prompt_tokens INTEGER NOT NULL, 
	cached_tokens INTEGER NOT NULL, 
	completion_tokens INTEGER NOT NULL, 
	rating INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (seq)
);
INSERT INTO "usage" VALUES(1,'turn-1','2026-03-01 09:00:00.000000','slack:T1/U1','slack','slack:T1/C1/1700.1','','','done','stop',NULL,NULL,NULL,40,8,12,1);
INSERT INTO "usage" VALUES(2,'turn-3','2026-03-01 09:02:00.000000','discord:U9','discord','discord:G1/D1/','','','stopped','cancelled',NULL,NULL,NULL,30,0,2,0);
INSERT INTO "usage" VALUES(3,'answer-9','2026-03-01 10:00:00.000000','http:key/ada','http','','','smollm2','done','stop',0.1,0.2,1.5,10,0,5,0);
CREATE TABLE votes (
	seq INTEGER NOT NULL, 
	turn_seq INTEGER NOT NULL, 
	person_id TEXT NOT NULL, 
	rating INTEGER NOT NULL, 
	is_pressed BOOLEAN NOT NULL, 
	PRIMARY KEY (seq), 
	CONSTRAINT votes_by_person UNIQUE (turn_seq, person_id), 
	FOREIGN KEY(turn_seq) REFERENCES turns (seq) ON DELETE CASCADE
);
INSERT INTO "votes" VALUES(1,1,'slack:T1/U1',1,1);
CREATE INDEX seen_by_end ON seen (goes_at);
CREATE INDEX turns_by_message ON turns (message_id);
CREATE INDEX turns_by_person ON turns (person_id, thread_id);
CREATE INDEX turns_by_end ON turns (finished_at);
CREATE INDEX turns_unfinished ON turns (seq) WHERE finished_at IS NULL;
CREATE INDEX posts_by_message ON posts (message_id);
CREATE INDEX remarks_by_thread ON remarks (thread_id, turn_seq);
CREATE INDEX remarks_by_turn ON remarks (turn_seq);
CREATE INDEX remarks_by_key ON remarks ("key");
CREATE INDEX usage_by_answer ON usage (answer_id);
CREATE INDEX usage_by_time ON usage (asked_at);
COMMIT;
